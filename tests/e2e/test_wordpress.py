"""WordPress as Debian packages it, under `sendoff serve`: it installs itself, is written in, and its own way of sending
work off (spawn_cron's request to itself, hung up at once) is seen through.

It runs on a MariaDB of its own: a child on a unix socket in a temporary folder, never the machine's service.
"""
import http.client
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import urllib.parse
import zlib

import pytest

from conftest import Server, finish, until

PACKAGE = "/usr/share/wordpress"
PASSWORD = "a long enough password, 4711"

CONFIG = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'root');
define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:%(socket)s');
define('DB_CHARSET', 'utf8mb4');
foreach (['AUTH', 'SECURE_AUTH', 'LOGGED_IN', 'NONCE'] as $n) {
        define($n . '_KEY', "key of $n");
        define($n . '_SALT', "salt of $n");
}
define('WP_HTTP_BLOCK_EXTERNAL', true);   // the site itself stays reachable
define('AUTOMATIC_UPDATER_DISABLED', true);
define('DISABLE_WP_CRON', %(no_cron)s);
define('ALTERNATE_WP_CRON', isset($_GET['alternate']));
%(more)s
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

# The site is asked under another port than the one it was installed with.
MOVED = """define('WP_HOME', 'http://' . $_SERVER['HTTP_HOST']);
define('WP_SITEURL', WP_HOME);"""

# A page view with ?event=MARK&go=FILE schedules an event that is due, so that this very view starts wp-cron.php; the
# event notes its beginning in MARK, waits for FILE, and notes its end. The view notes when it carries on.
PLUGIN = """<?php
function wp_mail() {   // nothing leaves this machine
        return true;
}
function note($mark, $text) {
        file_put_contents($mark, $text . "\\n", FILE_APPEND);
}
if (isset($_GET['event'])) {
        add_action('init', function () {
                wp_schedule_single_event(time() - 1, 'marking', [$_GET['event'], $_GET['go']]);
        }, 1);
        add_action('wp_loaded', function () {
                note($_GET['event'], 'view goes on');
                if (isset($_GET['stay'])) {
                        while (!str_contains(file_get_contents($_GET['event']), 'event begins')) usleep(2000);
                }
                register_shutdown_function(function () { note($_GET['event'], 'view ends'); });
        }, 21);
        add_action('requests-requests.before_request', function (&$url, &$headers, &$data, &$type, &$options) {
                $options['transport'] = $_GET['transport'];
        }, 10, 5);
        foreach (['curl', 'fsockopen'] as $name) {
                add_action("requests-$name.before_request", function () use ($name) { note($_GET['event'], "through $name"); });
        }
        add_action('requests-curl.after_request', function () { note($_GET['event'], 'curl let go'); });
}
add_action('marking', function ($mark, $go) {
        note($mark, 'event begins');
        while (!file_exists($go)) usleep(2000);
        note($mark, 'event ends in ' . basename($_SERVER['SCRIPT_NAME']));
}, 10, 2);
"""


def png(width, height):
    """A picture, so that WordPress has something to scale."""
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    rows = b"".join(b"\0" + bytes((x * y) % 256 for x in range(3 * width)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


class Browser:
    """Requests with the cookies that came before."""

    def __init__(self, server):
        self.server, self.cookies = server, {}

    def ask(self, method, path, body=None, headers=None):
        if isinstance(body, dict):
            body, headers = urllib.parse.urlencode(body), {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        reply = self.server.request(method, path.removeprefix(self.server.url), body, {
            "Cookie": "; ".join(f"{n}={v}" for n, v in self.cookies.items()), **(headers or {})})
        for name, value in reply.raw_headers:
            if name.lower() == "set-cookie":
                n, _, v = value.split(";")[0].partition("=")
                self.cookies[n] = v
        return reply

    def log_in(self):
        assert "user_login" in self.ask("GET", "/wp-login.php").text
        reply = self.ask("POST", "/wp-login.php", {"log": "admin", "pwd": PASSWORD, "testcookie": "1",
                                                   "redirect_to": f"{self.server.url}/wp-admin/"})
        assert reply.status == 302 and reply.headers["location"] == f"{self.server.url}/wp-admin/", reply.text[-2000:]
        self.nonce = self.ask("GET", "/wp-admin/admin-ajax.php?action=rest-nonce").text
        assert re.fullmatch(r"[0-9a-f]{10}", self.nonce)

    def rest(self, method, path, body):
        reply = self.ask(method, "/wp-json/wp/v2/" + path, json.dumps(body),
                         {"Content-Type": "application/json", "X-WP-Nonce": self.nonce})
        assert reply.status in (200, 201), reply.text[:2000]
        return reply.json


class Database:
    """A mariadbd without privileges, without network, without a data folder before and after."""

    def __init__(self, folder):
        self.folder, self.socket = folder, os.path.join(folder, "db")
        data = os.path.join(folder, "mysql")
        os.mkdir(data)
        own = ["--user=root"] if os.geteuid() == 0 else []
        with open(os.path.join(folder, "db.log"), "wb") as log:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "/usr/sbin/mariadbd", "--no-defaults", *own, f"--datadir={data}",
                 f"--socket={self.socket}", f"--pid-file={folder}/db.pid", "--skip-networking", "--skip-grant-tables",
                 "--skip-log-bin", "--innodb-log-file-size=8M", "--innodb-buffer-pool-size=32M",
                 "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--innodb-fast-shutdown=2"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(self.answers, "MariaDB")

    def log(self):
        with open(os.path.join(self.folder, "db.log"), errors="replace") as f:
            return f.read()

    def answers(self):
        assert self.process.poll() is None, self.log()[-3000:]
        return subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-e", "CREATE DATABASE wordpress"],
                              capture_output=True).returncode == 0

    def query(self, text):
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={self.socket}", "-N", "-B", "-e", text, "wordpress"],
                              capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


class WordPress:
    """The site's folder, its database and a first server with two workers, on which it was installed."""

    def __init__(self, folder):
        self.folder, self.root = folder, os.path.join(folder, "site")
        self.database, self.servers = Database(folder), []
        shutil.copytree(PACKAGE, self.root)  # what links point to, too
        plugins = os.path.join(self.root, "wp-content", "mu-plugins")
        os.makedirs(plugins)
        with open(os.path.join(plugins, "marking.php"), "w") as f:
            f.write(PLUGIN)
        self.configure()
        self.installed = None

    def configure(self, more="", no_cron="false"):
        with open(os.path.join(self.root, "wp-config.php"), "w") as f:
            f.write(CONFIG % {"socket": self.database.socket, "more": more, "no_cron": no_cron})

    def serve(self, workers, env=None):
        folder = os.path.join(self.folder, f"s{len(self.servers)}")
        os.mkdir(folder)
        self.servers.append(Server(folder, self.root, (), workers, env).start())
        return self.servers[-1]

    def install(self):
        """The installer, as a person goes through it; permalinks by the path come of its own request to itself."""
        browser = Browser(self.serve(workers=2))
        reply = browser.ask("GET", "/")
        assert reply.status == 302 and reply.headers["location"] == browser.server.url + "/wp-admin/install.php"
        assert "weblog_title" in browser.ask("GET", "/wp-admin/install.php?step=1").text
        reply = browser.ask("POST", "/wp-admin/install.php?step=2", {
            "weblog_title": "Sent off", "user_name": "admin", "admin_password": PASSWORD, "admin_password2": PASSWORD,
            "admin_email": "admin@example.org", "blog_public": "0", "language": ""})
        assert reply.status == 200 and "WordPress has been installed" in reply.text, reply.text[-3000:]
        self.installed = browser.server
        self.first_options = dict(line.split("\t") for line in self.database.query(
            "SELECT option_name, option_value FROM wp_options WHERE option_name IN ('siteurl', 'permalink_structure')").splitlines())
        self.configure(MOVED)

    def finish(self):
        try:
            for server in self.servers:
                finish(server)
        finally:
            for server in self.servers:
                if server.process.poll() is None:
                    server.kill()
            self.database.stop()


@pytest.fixture(scope="module")
def wordpress():
    with tempfile.TemporaryDirectory(prefix="wp") as folder:
        made = WordPress(folder)
        try:
            made.install()
            yield made
        finally:
            made.finish()


@pytest.fixture
def browser(wordpress):
    browser = Browser(wordpress.installed)
    browser.log_in()
    return browser


def test_it_was_installed_under_its_own_address_and_with_permalinks(wordpress):
    assert wordpress.first_options["siteurl"] == wordpress.installed.url
    assert "%postname%" in wordpress.first_options["permalink_structure"]  # its own request to itself found the page
    assert "index.php" not in wordpress.first_options["permalink_structure"]


def test_a_post_that_is_written_is_on_the_front_page_and_under_its_permalink(browser):
    post = browser.rest("POST", "posts", {"title": "Grüße & more", "content": "A text that was sent off.", "status": "publish"})
    link = urllib.parse.urlsplit(post["link"])
    assert link.query == "" and re.fullmatch(r"/\d{4}/\d\d/\d\d/[^/]+/", link.path), post["link"]
    visitor = Browser(browser.server)
    front = visitor.ask("GET", "/")
    assert front.status == 200 and post["link"] in front.text and "A text that was sent off." in front.text
    page = visitor.ask("GET", link.path)
    assert page.status == 200 and "<title>Grüße &#038; more &#8211; Sent off</title>" in page.text
    assert visitor.ask("GET", link.path.rstrip("/")).status == 301
    missing = visitor.ask("GET", "/there/is-nothing/here/")
    assert missing.status == 404 and "Page not found" in missing.text
    assert "<rss" in visitor.ask("GET", "/feed/").text


def test_a_comment_is_taken_and_the_visitor_led_back(browser):
    post = browser.rest("POST", "posts", {"title": "Commented", "content": "x", "status": "publish", "comment_status": "open"})
    visitor = Browser(browser.server)
    reply = visitor.ask("POST", "/wp-comments-post.php", {"comment": "Well said.", "author": "Ann", "email": "ann@example.org",
                                                          "url": "", "comment_post_ID": post["id"], "comment_parent": 0})
    assert reply.status == 302 and reply.headers["location"].startswith(post["link"]), reply.text[:500]
    assert "Well said." in browser.ask("GET", "/wp-admin/edit-comments.php").text


def test_the_admin_pages_and_their_files_are_served(browser):
    page = browser.ask("GET", "/wp-admin/")
    assert page.status == 200 and "Dashboard" in page.text
    for kind in ("load-styles.php", "load-scripts.php"):
        path = re.search(rf"/wp-admin/{kind}\?[^'\"]+", page.text).group(0).replace("&amp;", "&").replace("&#038;", "&")
        reply = browser.ask("GET", path)
        assert reply.status == 200 and len(reply.body) > 10000, path
    for name in ("jquery/jquery.min.js", "underscore.min.js"):
        reply = browser.ask("GET", f"/wp-includes/js/{name}")
        assert reply.status == 200 and reply.headers["content-type"].startswith("text/javascript"), name
    editor = browser.ask("GET", "/wp-admin/post-new.php")
    assert editor.status == 200 and "wp-block-editor" in editor.text and editor.text.rstrip().endswith("</html>")


def test_an_uploaded_picture_is_stored_scaled_and_served(browser):
    form = browser.ask("GET", "/wp-admin/media-new.php?browser-uploader").text
    nonce = re.search(r'name="_wpnonce" value="([0-9a-f]+)"', form).group(1)
    picture, mark = png(800, 600), "------------------------7b1e"
    fields = "".join(f'--{mark}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in (
        ("_wpnonce", nonce), ("_wp_http_referer", "/wp-admin/media-new.php"), ("post_id", "0"), ("html-upload", "Upload")))
    body = (fields + f'--{mark}\r\nContent-Disposition: form-data; name="async-upload"; filename="picture one.png"\r\n'
            "Content-Type: image/png\r\n\r\n").encode() + picture + f"\r\n--{mark}--\r\n".encode()
    reply = browser.ask("POST", "/wp-admin/media-new.php", body, {"Content-Type": f"multipart/form-data; boundary={mark}"})
    assert reply.status == 302, reply.text[:2000]
    media = browser.ask("GET", "/wp-json/wp/v2/media").json[0]
    assert (media["media_details"]["width"], media["media_details"]["height"]) == (800, 600)
    whole = browser.ask("GET", media["source_url"])
    assert whole.body == picture and whole.headers["content-type"] == "image/png"
    small = browser.ask("GET", media["media_details"]["sizes"]["medium"]["source_url"])
    assert small.status == 200 and small.body.startswith(b"\x89PNG") and len(small.body) < len(picture)


def view(server, folder, name, **more):
    """A page view that schedules an event and so starts wp-cron.php; the marks and the file that lets the event end."""
    mark, go = os.path.join(folder, f"{name}.mark"), os.path.join(folder, f"{name}.go")
    query = urllib.parse.urlencode({"event": mark, "go": go, **more})
    return server.get(f"/?{query}"), mark, go


def lines(mark):
    if not os.path.exists(mark):
        return []
    with open(mark) as f:
        return f.read().splitlines()


def unlocked(wordpress):
    """wp-cron.php has given its lock back: the next view may start it."""
    until(lambda: wordpress.database.query("SELECT COUNT(*) FROM wp_options WHERE option_name = '_transient_doing_cron'") == "0",
          "the end of wp-cron.php")


TRANSPORTS = {"curl": "Requests_Transport_cURL", "fsockopen": "Requests_Transport_fsockopen"}


@pytest.fixture(scope="module")
def one_worker(wordpress):
    return wordpress.serve(workers=1)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_the_cron_request_that_is_hung_up_runs_beside_its_parent(wordpress, tmp_path, transport):
    unlocked(wordpress)
    reply, mark, go = view(wordpress.installed, tmp_path, "event", transport=TRANSPORTS[transport], stay=1)
    assert reply.status == 200 and "</html>" in reply.text
    seen = lines(mark)
    assert seen[0] == f"through {transport}" and sorted(seen[1:]) == sorted(
        ["view goes on", "event begins", "view ends"] + (["curl let go"] if transport == "curl" else [])), seen
    assert seen.index("event begins") < seen.index("view ends")  # both at once, on two workers
    open(go, "w").close()
    until(lambda: "event ends in wp-cron.php" in lines(mark), "the event's end")
    assert lines(mark).count("event begins") == 1
    unlocked(wordpress)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_with_one_worker_it_waits_behind_its_parent_and_runs_though_its_caller_is_gone(wordpress, one_worker, tmp_path, transport):
    unlocked(wordpress)
    reply, mark, go = view(one_worker, tmp_path, "event", transport=TRANSPORTS[transport])
    assert reply.status == 200 and "</html>" in reply.text
    until(lambda: "event begins" in lines(mark), "the event's beginning")
    assert lines(mark) == [f"through {transport}"] + (["curl let go"] if transport == "curl" else []) + [
        "view goes on", "view ends", "event begins"]
    open(go, "w").close()
    until(lambda: "event ends in wp-cron.php" in lines(mark), "the event's end")
    unlocked(wordpress)
    assert one_worker.get("/").status == 200 and lines(mark).count("event begins") == 1


def test_a_cron_request_that_goes_on_without_its_caller_is_listed(wordpress, tmp_path):
    unlocked(wordpress)
    server = wordpress.installed
    _, mark, go = view(server, tmp_path, "event", transport=TRANSPORTS["fsockopen"], stay=1)

    def listed():
        jobs = server.control("GET", "/v1/jobs?limit=1000&state=running").json["jobs"]
        return [j["id"] for j in jobs if "/wp-cron.php" in j["target"]]
    crons = until(listed, "wp-cron.php in the list")
    assert len(crons) == 1 and "event ends in wp-cron.php" not in lines(mark)
    open(go, "w").close()
    record = server.wait(crons.pop())
    # PHP is left to decide (on_abort php), by closing its connection: how it ended is not known, only that it is over
    assert (record["state"], record["reason"], record["connection_status"]) == ("cancelled", "the caller hung up", 1), record
    assert "event ends in wp-cron.php" in lines(mark)


def test_the_alternate_cron_runs_in_the_view_that_was_already_answered(wordpress, tmp_path):
    unlocked(wordpress)
    server, mark, go = wordpress.installed, os.path.join(tmp_path, "mark"), os.path.join(tmp_path, "go")
    query = urllib.parse.urlencode({"event": mark, "go": go, "alternate": 1})
    c = http.client.HTTPConnection(server.host, server.port, timeout=60)
    c.request("GET", f"/?{query}")
    reply = c.getresponse()
    assert reply.status == 302 and "doing_wp_cron=" in reply.getheader("Location")
    until(lambda: "event begins" in lines(mark), "the event's beginning")
    c.close()
    assert server.get("/wp-includes/js/jquery/jquery.min.js").status == 200  # the hang-up was seen before this
    open(go, "w").close()
    until(lambda: "event ends in index.php" in lines(mark), "the event's end")
    unlocked(wordpress)


def test_nothing_went_wrong_in_wordpress_or_on_the_way(wordpress):
    for server in wordpress.servers:
        said = [line for line in server.log_text().splitlines() if re.search("PHP (Fatal|Parse|Warning)|sendmail", line)]
        # Debian's patch of the installer reads two variables that it does not set
        assert not [line for line in said if "wp-admin/install.php" not in line], said
        assert not re.search(r" 5\d\d ", server.access_log()), server.access_log()[-3000:]
