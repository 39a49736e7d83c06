package calls

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake answers calls as ejabberd does.
func fake(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/api/"+command && string(body) == "{}":
		fmt.Fprint(w, "17")
	case r.Method == http.MethodPost && r.URL.Path == "/xmlrpc" && strings.Contains(string(body), "<methodName>"+command+"</methodName>"):
		fmt.Fprint(w, "<?xml version='1.0'?><methodResponse><params><param><value><struct><member><name>num_sessions</name>"+
			"<value><int>17</int></value></member></struct></value></param></params></methodResponse>")
	case r.URL.Path == "/denied":
		fmt.Fprint(w, "<?xml version='1.0'?><methodResponse><fault>num_sessions</fault></methodResponse>")
	default:
		http.NotFound(w, r)
	}
}

func TestCalls(t *testing.T) {
	for _, c := range []struct {
		name  string
		w     Calls
		wrong string // "": it runs
	}{
		{"API", Calls{Path: "/api"}, ""},
		{"API with a slash", Calls{Path: "/api/"}, ""},
		{"XML-RPC", Calls{Path: "/xmlrpc", XMLRPC: true}, ""},
		{"no API", Calls{Path: "/nothing"}, "404"},
		{"a fault", Calls{Path: "/denied", XMLRPC: true}, "fault"},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(fake))
			defer srv.Close()
			target := &Target{Host: "localhost", Dial: func(ctx context.Context) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", srv.Listener.Addr().String())
			}}
			w := c.w
			w.Connections, w.Duration = 3, 20*time.Millisecond
			r, err := w.Run(t.Context(), target)
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("got %v, want an error with %q", err, c.wrong)
				}
				return
			}
			if err != nil || r.Count == 0 || r.Unit != "calls" {
				t.Errorf("got %d %s, %v, want calls", r.Count, r.Unit, err)
			}
		})
	}
}
