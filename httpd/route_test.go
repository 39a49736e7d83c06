package httpd

import (
	"net/http"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	o := Defaults()
	o.RequestHandlers = map[string]string{"/api": "tell", "api/v2/": "tell", "//bosh": "tell", "/well/known": "tell"}
	r := newRig(t, o, map[string]http.Handler{"tell": http.HandlerFunc(tell)})
	defer r.end()
	for path, want := range map[string]string{
		"/api":                "/api ",
		"/api/":               "/api ",
		"/api/x":              "/api x",
		"/api//x/./y/":        "/api x/y",
		"/api/x/../y":         "/api y",
		"/api/%2e%2e/bosh":    "/bosh ",
		"/../../api":          "/api ",
		"/api/v2":             "/api/v2 ",
		"/api/v2/x":           "/api/v2 x",
		"/api/v20":            "/api v20",
		"/%61pi/%7Ex":         "/api ~x",
		"/bosh?a=/../api":     "/bosh ",
		"/apix":               "",
		"/API":                "",
		"/":                   "",
		"/well":               "",
		"/well/known/a":       "/well/known a",
		"/well%2fknown":       "",
		"/api/a%2Fb":          "",
		"/api/..%2f..%2fbosh": "",
		"/api/%00":            "",
		"http://a.test/api/x": "/api x",
	} {
		status, body := r.get(path, "Host: a.test")
		if want == "" {
			if status != http.StatusNotFound || !strings.HasPrefix(body, "<!DOCTYPE html>") {
				t.Errorf("%s: got %d %q, want a page of 404", path, status, body)
			}
			continue
		}
		if want = "a.test 198.51.100.7 plain " + want + " "; status != http.StatusOK || body != want {
			t.Errorf("%s: got %d %q, want %q", path, status, body, want)
		}
	}
}

func TestEverything(t *testing.T) {
	r := newRig(t, Defaults(), nil)
	defer r.end()
	if _, body := r.get("/a/b", "Host: a.test"); !strings.HasSuffix(body, " / a/b ") {
		t.Errorf("got %q, want the mount / with the rest a/b", body)
	}
}

// The rest of a path never leads anywhere else.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "/", "a", "/a/../b", "//", "a//b/./..", "...", "a/..b", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, ok := clean(s)
		if !ok {
			return
		}
		if c != "" {
			for segment := range strings.SplitSeq(c, "/") {
				if segment == "" || segment == "." || segment == ".." {
					t.Errorf("%q: got %q", s, c)
				}
			}
		}
		if again, ok := clean(c); again != c || !ok {
			t.Errorf("%q: got %q, and of that %q", s, c, again)
		}
	})
}
