package websocket_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd/websocket"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestRequests(t *testing.T) {
	h := websocket.New(websocket.Host{Serve: func(context.Context, stanza.Transport) error { return nil }})
	for _, c := range []struct {
		method string
		want   int
		field  string
	}{
		{http.MethodGet, http.StatusOK, "Content-Security-Policy"},
		{http.MethodHead, http.StatusOK, "Content-Type"},
		{http.MethodOptions, http.StatusOK, "Access-Control-Allow-Origin"},
		{http.MethodPost, http.StatusMethodNotAllowed, "Allow"},
		{http.MethodDelete, http.StatusMethodNotAllowed, "Allow"},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, "/ws", nil))
		if w.Code != c.want || w.Header().Get(c.field) == "" {
			t.Errorf("%s: got %d %v, want %d and %s", c.method, w.Code, w.Header(), c.want, c.field)
		}
	}
}

func TestUpgrades(t *testing.T) {
	r := newRig(t)
	defer r.end()
	const protocol = "Sec-WebSocket-Protocol: xmpp\r\n"
	for _, c := range []struct {
		name    string
		origins []string
		fields  string
		want    int
	}{
		{"usual", nil, protocol, 101},
		{"one of several", nil, "Sec-WebSocket-Protocol: mqtt, XMPP\r\n", 101},
		{"no subprotocol", nil, "", 400},
		{"another subprotocol", nil, "Sec-WebSocket-Protocol: mqtt\r\n", 400},
		{"any site", nil, protocol + "Origin: https://evil.example\r\n", 101},
		{"ignore", []string{"ignore"}, protocol + "Origin: https://evil.example\r\n", 101},
		{"own site", []string{"https://chat.example"}, protocol + "Origin: https://Chat.example\r\n", 101},
		{"one of two in an item", []string{"https://a.example https://chat.example:8443"}, protocol + "Origin: https://chat.example:8443\r\n", 101},
		{"another site", []string{"https://chat.example"}, protocol + "Origin: https://evil.example\r\n", 403},
		{"another port", []string{"https://chat.example"}, protocol + "Origin: https://chat.example:8443\r\n", 403},
		{"another scheme", []string{"https://chat.example"}, protocol + "Origin: http://chat.example\r\n", 403},
		{"no page", []string{"https://chat.example"}, protocol, 101},
		{"two origins", []string{"https://chat.example"}, protocol + "Origin: https://chat.example\r\nOrigin: https://evil.example\r\n", 403},
	} {
		o := websocket.Defaults()
		o.Origin = c.origins
		r.handler.Configure(o)
		conn, got := r.dial(c.fields)
		if got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
		_ = conn.c.Close()
	}
	for field, other := range map[string]string{"Sec-WebSocket-Version: 13": "Sec-WebSocket-Version: 8", "dGhlIHNhbXBsZSBub25jZQ==": "short"} {
		c := r.ln.Dial()
		_, _ = c.Write([]byte(strings.Replace(upgrade, field, other, 1) + protocol + "\r\n"))
		b := make([]byte, 12)
		if _, err := c.Read(b); err != nil || string(b) != "HTTP/1.1 400" {
			t.Errorf("%s: got %q, want 400", other, b)
		}
		_ = c.Close()
	}
}
