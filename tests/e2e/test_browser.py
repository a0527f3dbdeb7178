"""The example site in a real browser: headless Chromium clicks it."""
import os
import tempfile

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from conftest import PATIENCE, ROOT

EXAMPLE = os.path.join(ROOT, "examples", "site")


@pytest.fixture
def page(make_server, tmp_path):
    server = make_server(EXAMPLE, workers=4)
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    for flag in ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking", "--disable-component-update",
                 "--disable-sync", "--window-size=1000,1400", f"--user-data-dir={tempfile.mkdtemp(dir=tmp_path)}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
    driver.set_page_load_timeout(PATIENCE)
    driver.server = server
    yield driver
    driver.quit()


def wait(page, condition, what):
    return WebDriverWait(page, PATIENCE, 0.05).until(lambda d: condition(), what)


def one(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector)


def fill(page, selector, text):
    field = one(page, selector)
    field.clear()
    field.send_keys(text)


def test_a_person_sends_a_report_off_and_sees_it_arrive(page):
    page.get(page.server.url + "/")
    fill(page, "#to", "ada <b>")
    fill(page, "#seconds", "1")
    one(page, "#send").click()
    accepted = wait(page, lambda: one(page, "#accepted").text, "the receipt")
    assert "accepted in" in accepted.lower() and "ms" in accepted
    job = wait(page, lambda: one(page, ".job"), "the job")
    wait(page, lambda: job.get_attribute("data-state") == "succeeded", "the job's success")
    result = wait(page, lambda: one(page, ".job .result").text, "the result")
    assert "ada <b>" in result and "1" in result
    assert page.server.control("GET", "/v1/jobs").json["jobs"][0]["state"] == "succeeded"
    if os.environ.get("SENDOFF_SCREENSHOT"):
        page.save_screenshot(os.environ["SENDOFF_SCREENSHOT"])


def test_the_old_way_makes_the_person_wait(page):
    page.get(page.server.url + "/")
    fill(page, "#seconds", "1")
    one(page, "#wait").click()
    assert wait(page, lambda: one(page, "#waited-result").text, "the reply")
    assert page.server.control("GET", "/v1/jobs").json["jobs"] == []


def test_a_queued_job_is_cancelled_from_the_page(page):
    page.get(page.server.url + "/")
    fill(page, "#seconds", "20")
    for _ in range(4):  # three workers take jobs, the fourth job waits
        one(page, "#send").click()
    wait(page, lambda: len(page.find_elements(By.CSS_SELECTOR, ".job[data-state=ready]")) == 1 and len(page.find_elements(By.CSS_SELECTOR, ".job[data-state=running]")) == 3,
         "three running jobs and a queued one")
    one(page, ".job[data-state=ready] .cancel").click()
    wait(page, lambda: page.find_elements(By.CSS_SELECTOR, ".job[data-state=cancelled]"), "the cancelled job")
    for job in page.server.control("GET", "/v1/jobs?state=running").json["jobs"]:
        page.server.control("POST", f"/v1/jobs/{job['id']}/cancel")


def test_a_script_triggers_another_and_goes_on(page):
    page.get(page.server.url + "/trigger.php?seconds=1")
    accepted = one(page, "#accepted").text
    assert "ms" in accepted
    jobs = page.server.control("GET", "/v1/jobs").json["jobs"]
    assert len(jobs) == 1 and page.server.wait(jobs[0]["id"])["state"] == "succeeded"


def test_the_page_logs_no_error(page):
    page.get(page.server.url + "/")
    one(page, "#send").click()
    wait(page, lambda: one(page, ".job"), "the job")
    assert [e for e in page.get_log("browser") if e["level"] == "SEVERE"] == []
