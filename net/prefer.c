/* The Prefer field: see prefer.h. Members are cut at commas outside quotes, their parameters at the first
 * ';'. Nothing fails: what is not understood is passed over. */
#include "net/prefer.h"

static bool cut_outside_quotes(struct slice *rest, char sep, struct slice *piece)
{
        bool quoted = false;
        size_t i;

        if (!rest->ptr)
                return false;
        for (i = 0; i < rest->len; i++) {
                char c = rest->ptr[i];

                if (quoted && c == '\\')
                        i++;
                else if (c == '"')
                        quoted = !quoted;
                else if (c == sep && !quoted)
                        break;
        }
        if (i >= rest->len) {
                *piece = *rest;
                *rest = (struct slice){ NULL, 0 };
                return true;
        }
        *piece = (struct slice){ rest->ptr, i };
        *rest = slice_from(*rest, i + 1);
        return true;
}

static struct slice unquote(struct slice s)
{
        if (s.len >= 2 && s.ptr[0] == '"' && s.ptr[s.len - 1] == '"')
                return (struct slice){ s.ptr + 1, s.len - 2 };
        return s;
}

static bool all_digits(struct slice s)
{
        for (size_t i = 0; i < s.len; i++)
                if (s.ptr[i] < '0' || s.ptr[i] > '9')
                        return false;
        return s.len > 0;
}

static void prefer_wait(struct prefer *p, struct slice value)
{
        uint64_t n;

        if (p->has_wait || !all_digits(value))
                return;
        p->has_wait = true;
        p->wait_s = slice_to_u64(value, UINT32_MAX, &n) ? (uint32_t)n : UINT32_MAX;
}

void prefer_add(struct prefer *p, struct slice value)
{
        struct slice member, preference, name;

        while (cut_outside_quotes(&value, ',', &member)) {
                bool has_value;

                cut_outside_quotes(&member, ';', &preference);
                has_value = cut_outside_quotes(&preference, '=', &name) && preference.ptr;
                name = slice_trim(name);
                if (slice_eq_nocase(name, SLICE("respond-async")))
                        p->respond_async = true;
                else if (slice_eq_nocase(name, SLICE("wait")) && has_value)
                        prefer_wait(p, unquote(slice_trim(preference)));
        }
}
