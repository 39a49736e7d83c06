//go:build interop

package interop

import (
	"strings"
	"testing"
)

// h2load asks many times, by HTTP/2 and by HTTP/1.1, and gets an answer each time.
func TestWebLoad(t *testing.T) {
	program := need(t, "h2load")
	w := webTidewaiter(t)
	const path = "/oauth/.well-known/oauth-authorization-server"
	for name, args := range map[string][]string{
		"h2":       {w.https + path},
		"http/1.1": {"--h1", w.https + path},
		"plain":    {"--h1", w.http + path},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := run(t, "", program, append([]string{"-n", "1500", "-c", "20", "-m", "10"}, args...)...)
			if err != nil || !strings.Contains(out, "1500 succeeded, 0 failed, 0 errored, 0 timeout") || !strings.Contains(out, "status codes: 1500 2xx") {
				t.Errorf("got %v and\n%s", err, out)
			}
			if name == "h2" && !strings.Contains(out, "Application protocol: h2\n") {
				t.Errorf("got no HTTP/2:\n%s", out)
			}
		})
	}
}
