package page

import (
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
)

// policy returns the directives of the page's content security policy.
func policy(t *testing.T, header string) map[string]string {
	t.Helper()
	directives := make(map[string]string)
	for d := range strings.SplitSeq(header, "; ") {
		name, value, ok := strings.Cut(d, " ")
		if _, twice := directives[name]; !ok || twice {
			t.Errorf("directive %q is empty, or there twice", d)
		}
		directives[name] = value
	}
	return directives
}

func TestHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	csp := policy(t, w.Header().Get("Content-Security-Policy"))
	for name, want := range map[string]string{
		"default-src": "'none'", "connect-src": "'self'", "base-uri": "'none'", "form-action": "'none'", "frame-ancestors": "'none'",
	} {
		if csp[name] != want {
			t.Errorf("%s: got %q, want %q", name, csp[name], want)
		}
	}
	for _, name := range []string{"script-src", "style-src"} {
		if !regexp.MustCompile(`^'sha256-[A-Za-z0-9+/]{43}='$`).MatchString(csp[name]) {
			t.Errorf("%s: got %q, want one hash", name, csp[name])
		}
	}
	if w.Code != 200 || w.Body.String() != index {
		t.Errorf("got %d and %d bytes, want the page", w.Code, w.Body.Len())
	}
}

func TestMethods(t *testing.T) {
	for method, want := range map[string]int{"GET": 200, "HEAD": 200, "POST": 405, "DELETE": 405} {
		w := httptest.NewRecorder()
		Handler().ServeHTTP(w, httptest.NewRequest(method, "/", nil))
		if w.Code != want {
			t.Errorf("%s: got %d, want %d", method, w.Code, want)
		}
	}
}

// The page is one file that refers to nothing outside and needs no more than its policy
// allows: one script, one style, and nothing of these in attributes.
func TestPageIsOneFile(t *testing.T) {
	if n := strings.Count(index, "\n"); n > 150 {
		t.Errorf("got %d lines, want at most 150", n)
	}
	for _, tag := range []string{"<script", "</script>", "<style>", "</style>"} {
		if n := strings.Count(index, tag); n != 1 {
			t.Errorf("%s is there %d times, want once", tag, n)
		}
	}
	for what, pattern := range map[string]string{
		"an external reference":    `(?i)\b(src|srcset|action|formaction|poster|data)\s*=\s*"|https?://|\b(href)="[^d]|@import|(?-i:url\()`,
		"an attribute with script": `(?i)<[^>]*\son[a-z]+\s*=`,
		"an attribute with style":  `(?i)<[^>]*\sstyle\s*=`,
		"HTML made of text":        `innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function`,
	} {
		if found := regexp.MustCompile(pattern).FindString(index); found != "" {
			t.Errorf("the page has %s: %q", what, found)
		}
	}
}

// What the page is told of its WebSocket cannot become part of the page.
func TestHandlerAt(t *testing.T) {
	w := httptest.NewRecorder()
	HandlerAt(`/a"><script>`).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if want := `<meta name="websocket" content="/a&#34;&gt;&lt;script&gt;">`; strings.Count(w.Body.String(), want) != 1 {
		t.Errorf("the page lacks %s", want)
	}
}
