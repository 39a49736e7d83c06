package websocket_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd/websocket"
)

// The answers to a handshake: 101; refused with a status of 4xx; or any but 101, to what
// does not ask for a WebSocket.
const (
	switches = "101"
	refuses  = "4xx"
	answers  = "other"
)

// handshakes are requests and the answers that RFC 6455 wants.
var handshakes = []struct {
	name, request, want string
	fields              string // of the answer, as name: value
}{
	{"1.3 the example", request(), switches, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\nUpgrade: websocket\nConnection: upgrade\nSec-WebSocket-Protocol: xmpp\nSec-WebSocket-Extensions:"},
	{"4.2.2 another key", request("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="), switches, "Sec-WebSocket-Accept: C/0nmHhBztSRGR1CwL6Tf4ZjwpY="},
	{"4.1 names of fields in any case", strings.NewReplacer("Sec-WebSocket", "sec-websocket", "Upgrade:", "uPGRADE:", "Connection:", "connection:").Replace(request()), switches, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
	{"4.2.1 (1) POST", request("POST /ws HTTP/1.1", "Content-Length: 0"), refuses, ""},
	{"4.2.1 (1) PUT", request("PUT /ws HTTP/1.1", "Content-Length: 0"), refuses, ""},
	{"4.2.1 (1) HEAD", request("HEAD /ws HTTP/1.1"), answers, ""},
	{"4.2.1 (1) CONNECT", request("CONNECT a.test:80 HTTP/1.1"), refuses, ""},
	{"4.2.1 (1) HTTP/1.0", request("GET /ws HTTP/1.0"), refuses, ""},
	{"4.2.1 (1) an absolute URI", request("GET http://a.test/ws HTTP/1.1"), switches, ""},
	{"4.2.1 (1) a query", request("GET /ws?a=b HTTP/1.1"), switches, ""},
	{"4.2.1 (1) below the path", request("GET /ws/ HTTP/1.1"), switches, ""},
	{"4.2.2 /resource name/ that is not there", request("GET /other HTTP/1.1"), refuses, ""},
	{"4.2.1 (2) no Host", request("Host:"), refuses, ""},
	{"4.2.1 (2) two Hosts", request("+Host: b.test"), refuses, ""},
	{"4.2.1 (3) no Upgrade", request("Upgrade:"), answers, ""},
	{"4.2.1 (3) Upgrade to something else", request("Upgrade: h2c"), answers, ""},
	{"4.2.1 (3) Upgrade in any case", request("Upgrade: WebSocket"), switches, ""},
	{"4.2.1 (3) Upgrade to one of several", request("Upgrade: h2c, websocket"), switches, "Upgrade: websocket"},
	{"4.2.1 (3) Upgrade to a longer word", request("Upgrade: websockets"), answers, ""},
	{"4.2.1 (4) no Connection", request("Connection:"), refuses, ""},
	{"4.2.1 (4) Connection without upgrade", request("Connection: keep-alive"), refuses, ""},
	{"4.2.1 (4) Connection in any case", request("Connection: uPGRADE"), switches, ""},
	{"4.2.1 (4) Connection with more", request("Connection: keep-alive, Upgrade"), switches, "Connection: upgrade"},
	{"4.2.1 (4) Connection in two fields", request("Connection: keep-alive", "+Connection: Upgrade"), switches, ""},
	{"4.2.1 (4) Connection with a longer word", request("Connection: upgraded"), refuses, ""},
	{"4.2.1 (5) no key", request("Sec-WebSocket-Key:"), refuses, ""},
	{"4.2.1 (5) an empty key", strings.Replace(request(), "dGhlIHNhbXBsZSBub25jZQ==", "", 1), refuses, ""},
	{"4.2.1 (5) a key of 15 bytes", request("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4P"), refuses, ""},
	{"4.2.1 (5) a key of 17 bytes", request("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEBE="), refuses, ""},
	{"4.2.1 (5) a key without padding", request("Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA"), refuses, ""},
	{"4.2.1 (5) a key that is no base64", request("Sec-WebSocket-Key: ????????????????????????"), refuses, ""},
	{"4.2.1 (5) a key in the alphabet for URLs", request("Sec-WebSocket-Key: -_-_-_-_-_-_-_-_-_-_-w=="), refuses, ""},
	{"11.3.1 two keys", request("+Sec-WebSocket-Key: AQIDBAUGBwgJCgsMDQ4PEA=="), refuses, ""},
	{"4.2.1 (6) no version", request("Sec-WebSocket-Version:"), refuses, ""},
	{"4.4 version 8", request("Sec-WebSocket-Version: 8"), refuses, "Sec-WebSocket-Version: 13"},
	{"4.4 version 25", request("Sec-WebSocket-Version: 25"), refuses, "Sec-WebSocket-Version: 13"},
	{"4.3 version 013", request("Sec-WebSocket-Version: 013"), refuses, "Sec-WebSocket-Version: 13"},
	{"4.3 two versions at once", request("Sec-WebSocket-Version: 13, 8"), refuses, "Sec-WebSocket-Version: 13"},
	{"11.3.5 version in two fields", request("+Sec-WebSocket-Version: 8"), refuses, ""},
	{"4.2.1 (10) fields that nobody knows", request("X-Unknown: 1", "Cookie: a=b", "Authorization: Basic eDp5"), switches, ""},
	{"9.1 an extension that nobody knows", request("Sec-WebSocket-Extensions: mux; max-channels=4; flow-control, deflate-stream"), switches, "Sec-WebSocket-Extensions:"},
	{"9.1 quoted parameters", request(`Sec-WebSocket-Extensions: foo; bar="baz"`, "+Sec-WebSocket-Extensions: x"), switches, "Sec-WebSocket-Extensions:"},
	{"9.1 permessage-deflate, which is off", request("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"), switches, "Sec-WebSocket-Extensions:"},
	{"9.1 extensions against the grammar", request("Sec-WebSocket-Extensions: ;=,"), refuses, ""},
	{"9.1 a quoted parameter that is no token", request(`Sec-WebSocket-Extensions: foo; bar="b z"`), refuses, ""},
	{"1.9 several subprotocols", request("Sec-WebSocket-Protocol: chat, xmpp, mqtt"), switches, "Sec-WebSocket-Protocol: xmpp"},
	{"4.2.2 subprotocols in two fields", request("Sec-WebSocket-Protocol: chat", "+Sec-WebSocket-Protocol: xmpp"), switches, "Sec-WebSocket-Protocol: xmpp"},
	{"4.2.2 subprotocols without spaces", request("Sec-WebSocket-Protocol: chat,xmpp"), switches, "Sec-WebSocket-Protocol: xmpp"},
}

func TestHandshake(t *testing.T) {
	s := newSite(t)
	for _, row := range handshakes {
		t.Run(row.name, func(t *testing.T) {
			w := s.dial(t)
			got := w.wantAnswer(row.request, row.want).Header
			for field := range strings.SplitSeq(row.fields, "\n") {
				name, want, _ := strings.Cut(field, ":")
				if value := strings.Join(got.Values(name), ", "); name != "" && !strings.EqualFold(value, strings.TrimSpace(want)) {
					t.Errorf("got %s: %q, want %q", name, value, want)
				}
			}
			if row.want == switches {
				w.open()
			}
		})
	}
}

// wantAnswer sends a request and checks the status of the answer, and that what is no
// WebSocket stays HTTP.
func (w *wire) wantAnswer(request, want string) *http.Response {
	w.t.Helper()
	a := w.request(request)
	ok := a.StatusCode == http.StatusSwitchingProtocols
	switch want {
	case refuses:
		ok = a.StatusCode >= 400 && a.StatusCode < 500
	case answers:
		ok = !ok && a.StatusCode < 500
	}
	if !ok {
		w.t.Fatalf("got %s, want %s", a.Status, want)
	}
	if a.StatusCode != http.StatusSwitchingProtocols && a.Header.Get("Sec-WebSocket-Accept") != "" {
		w.t.Errorf("got an accepted key with %s", a.Status)
	}
	return a
}

// Origins are compared as they are, in lower case, port included; none is no page's.
// See RFC 6455, sections 4.2.2 (/origin/) and 10.2.
func TestHandshakeOrigin(t *testing.T) {
	const chat, both = "https://chat.a.test", "https://chat.a.test http://b.test:8080"
	for _, row := range []struct {
		name    string
		allowed []string
		origin  string
		want    int
	}{
		{"10.2 no check, any site", nil, "https://evil.test", 101},
		{"10.2 no check, a sandboxed page", nil, "null", 101},
		{"10.2 ignore is no check", []string{"ignore"}, "https://evil.test", 101},
		{"10.1 no page", []string{chat}, "", 101},
		{"10.2 the site", []string{chat}, chat, 101},
		{"10.2 another site", []string{chat}, "https://evil.test", 403},
		{"10.2 a sandboxed page", []string{chat}, "null", 403},
		{"10.2 another scheme", []string{chat}, "http://chat.a.test", 403},
		{"10.2 another port", []string{chat}, chat + ":8443", 403},
		{"10.2 the host as a prefix", []string{chat}, chat + ".evil.test", 403},
		{"10.2 the host as a suffix", []string{chat}, "https://evilchat.a.test", 403},
		{"10.2 the host as a path", []string{chat}, "https://evil.test/https://chat.a.test", 403},
		{"10.2 the server's own name is no licence", []string{chat}, "http://a.test", 403},
		{"4.2.2 /origin/ in lower case", []string{chat}, "HTTPS://Chat.A.Test", 101},
		{"4.2.2 /origin/ in lower case, the option too", []string{"https://Chat.A.test"}, chat, 101},
		{"several in one element", []string{both}, "http://b.test:8080", 101},
		{"several in one element, another port", []string{both}, "http://b.test", 403},
		{"several elements", []string{"https://x.test", chat}, chat, 101},
		{"two origins in one field", []string{chat}, chat + " https://evil.test", 403},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newSite(t, func(o *terms) { o.ws.Origin = row.allowed })
			w, from := s.dial(t), "Origin:"
			if row.origin != "" {
				from += " " + row.origin
			}
			if got := w.request(request(from)); got.StatusCode != row.want {
				t.Fatalf("got %s, want %d", got.Status, row.want)
			}
			if row.want == 101 {
				w.open()
			}
		})
	}
	t.Run("two Origin fields", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.ws.Origin = []string{chat} })
		w := s.dial(t)
		w.wantAnswer(request("Origin: "+chat, "+Origin: https://evil.test"), refuses)
	})
	t.Run("options apply to who connects from now on", func(t *testing.T) {
		s := newSite(t)
		w := s.login(t, "ana")
		o := websocket.Defaults()
		o.Origin = []string{chat}
		s.handler.Configure(o)
		x := s.dial(t)
		x.wantAnswer(request("Origin: https://evil.test"), refuses)
		w.wantAlive()
	})
}

// The content of a request is no part of the WebSocket connection, which begins behind it.
// See RFC 9110, sections 7.8 and 9.3.1.
func TestHandshakeContent(t *testing.T) {
	s := newSite(t)
	frame := string(text(greeting).appendTo(nil))
	for _, row := range []struct{ name, request string }{
		{"with a length", request("Content-Length: "+strconv.Itoa(len(frame))) + frame},
		{"in chunks", request("Transfer-Encoding: chunked") + strconv.FormatInt(int64(len(frame)), 16) + "\r\n" + frame + "\r\n0\r\n\r\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.dial(t)
			if a := w.request(row.request); a.StatusCode == http.StatusSwitchingProtocols {
				w.say("<open xmlns='" + nsFraming + "' to='a.test' version='1.0' from='ana@a.test'/>")
				if n := w.want(nsFraming, "open"); n.attr("to") == "" {
					t.Error("the content of the request was taken for a frame")
				}
			}
		})
	}
}
