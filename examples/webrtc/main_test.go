package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pion/turn/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long anything may take here; it only ends tests that hang.
const bound = 30 * time.Second

// start runs the program until the test ends, and returns a client of its page.
func start(t *testing.T) browser {
	t.Helper()
	s := openAny(t)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.run(ctx) }()
	b := browser{&http.Client{Transport: new(http.Transport), Timeout: bound}, "http://" + s.page.Addr().String()}
	t.Cleanup(func() {
		b.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: got %v, want no error", err)
		}
	})
	return b
}

// browser is what a tab can do without WebRTC.
type browser struct {
	*http.Client
	site string
}

func (b browser) fetch(t *testing.T, path string) (int, http.Header, string) {
	t.Helper()
	r, err := b.Get(b.site + path)
	if err != nil {
		t.Fatal(err)
	}
	return body(t, r)
}

func body(t *testing.T, r *http.Response) (int, http.Header, string) {
	t.Helper()
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, r.Header, string(text)
}

func TestPage(t *testing.T) {
	b := start(t)
	for _, c := range []struct{ path, kind, text string }{
		{"/", "text/html", `src="app.js"`},
		{"/app.js", "text/javascript", `iceTransportPolicy: "relay"`},
		{"/style.css", "text/css", "body"},
	} {
		status, header, text := b.fetch(t, c.path)
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), c.kind) || !strings.Contains(text, c.text) {
			t.Errorf("%s: got %d, %q and %d bytes, want 200, %q and %q within", c.path, status, header.Get("Content-Type"), len(text), c.kind, c.text)
		}
	}
	if status, _, _ := b.fetch(t, "/relay?transport=sctp"); status != http.StatusBadRequest {
		t.Errorf("/relay for SCTP: got %d, want %d", status, http.StatusBadRequest)
	}
}

// relay returns the relay of a new client with the credentials of the page.
func (b browser) relay(t *testing.T, transport string) (*turn.Client, net.PacketConn) {
	t.Helper()
	_, _, text := b.fetch(t, "/relay?transport="+transport)
	var r relayServer
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("/relay: got %q: %v", text, err)
	}
	u, err := url.Parse(r.URLs)
	if err != nil || u.Scheme != "turn" || u.Query().Get("transport") != transport {
		t.Fatalf("/relay: got %q (%v), want a turn URI for %s", r.URLs, err, transport)
	}
	c, err := turn.NewClient(&turn.ClientConfig{
		TURNServerAddr: u.Opaque, Conn: dial(t, transport, u.Opaque), Username: r.Username, Password: r.Credential,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	conn, err := c.Allocate()
	if err != nil {
		t.Fatalf("allocate over %s: %v", transport, err)
	}
	t.Cleanup(func() { conn.Close() })
	return c, conn
}

// dial returns a socket to reach a TURN server with.
func dial(t *testing.T, transport, addr string) net.PacketConn {
	t.Helper()
	var pc net.PacketConn
	var err error
	if transport == "udp" {
		pc, err = net.ListenPacket("udp4", "127.0.0.1:0")
	} else {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			pc = turn.NewSTUNConn(c)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	return pc
}

// The credentials of the page are good for the relay, and two tabs reach each other.
func TestRelay(t *testing.T) {
	b := start(t)
	ana, anaRelay := b.relay(t, "udp")
	bo, boRelay := b.relay(t, "tcp")
	for _, err := range []error{ana.CreatePermission(boRelay.LocalAddr()), bo.CreatePermission(anaRelay.LocalAddr())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ from, to net.PacketConn }{{anaRelay, boRelay}, {boRelay, anaRelay}} {
		if _, err := c.from.WriteTo([]byte("ahoy"), c.to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		if err := c.to.SetReadDeadline(time.Now().Add(bound)); err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 100)
		n, from, err := c.to.ReadFrom(data)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(data[:n]); got != "ahoy" || from.String() != c.from.LocalAddr().String() {
			t.Errorf("got %q from %v, want %q from %v", got, from, "ahoy", c.from.LocalAddr())
		}
	}
}

// stream is the events of a tab.
type stream struct {
	r *bufio.Reader
	c io.Closer
}

func (b browser) listen(t *testing.T) *stream {
	t.Helper()
	r, err := b.Get(b.site + "/events")
	if err != nil {
		t.Fatal(err)
	}
	if r.StatusCode != http.StatusOK {
		t.Fatalf("/events: got %s, want 200", r.Status)
	}
	t.Cleanup(func() { r.Body.Close() })
	return &stream{bufio.NewReader(r.Body), r.Body}
}

// expect reads an event and returns its data.
func (s *stream) expect(t *testing.T, name string) string {
	t.Helper()
	var lines [3]string
	for i := range lines {
		line, err := s.r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", name, err)
		}
		lines[i] = strings.TrimSuffix(line, "\n")
	}
	data, ok := strings.CutPrefix(lines[1], "data: ")
	if lines[0] != "event: "+name || !ok || lines[2] != "" {
		t.Fatalf("got %q, want the event %q", lines, name)
	}
	return data
}

func (b browser) signal(t *testing.T, tab, text string) int {
	t.Helper()
	r, err := b.Post(b.site+"/signal?tab="+url.QueryEscape(tab), "application/json", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	status, _, _ := body(t, r)
	return status
}

func TestSignals(t *testing.T) {
	b := start(t)
	first := b.listen(t)
	ana := strings.Trim(first.expect(t, "here"), `"`)
	second := b.listen(t)
	bo := strings.Trim(second.expect(t, "here"), `"`)
	if got, other := first.expect(t, "peer"), second.expect(t, "peer"); got != `{"caller":false}` || other != `{"caller":true}` {
		t.Errorf("peer: got %s and %s, want that the second calls the first", got, other)
	}

	if status := b.signal(t, bo, "{\"a\":\n\"b\"}"); status != http.StatusNoContent {
		t.Errorf("signal: got %d, want %d", status, http.StatusNoContent)
	}
	if got := first.expect(t, "signal"); got != `{"a":"b"}` {
		t.Errorf("signal: got %q, want %q", got, `{"a":"b"}`)
	}
	for _, c := range []struct {
		name, tab, text string
		want            int
	}{
		{"no tab", "somebody", "{}", http.StatusGone},
		{"no JSON", ana, "event: left", http.StatusBadRequest},
		{"too long", ana, `"` + strings.Repeat("a", maxSignal) + `"`, http.StatusRequestEntityTooLarge},
	} {
		if got := b.signal(t, c.tab, c.text); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
	if status, _, _ := b.fetch(t, "/events"); status != http.StatusConflict {
		t.Errorf("a third tab: got %d, want %d", status, http.StatusConflict)
	}

	second.c.Close()
	first.expect(t, "left")
	if status := b.signal(t, ana, "{}"); status != http.StatusGone {
		t.Errorf("signal to nobody: got %d, want %d", status, http.StatusGone)
	}
}

// A tab that reads nothing is given no more than so many events.
func TestBoundOfEvents(t *testing.T) {
	s := new(switchboard)
	ana := s.enter()
	bo := s.enter()
	taken := 0
	for range 2 * maxEvents {
		if s.pass(ana.id, []byte("{}")) {
			taken++
		}
	}
	if taken == 0 || taken > maxEvents || len(bo.events) != maxEvents {
		t.Errorf("got %d signals taken and %d events waiting, want at most %d", taken, len(bo.events), maxEvents)
	}
}

// A page of another site can neither read nor signal.
func TestOtherSites(t *testing.T) {
	b := start(t)
	r, err := http.NewRequest(http.MethodPost, b.site+"/signal?tab=x", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "https://example.com")
	got, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if status, header, _ := body(t, got); status != http.StatusForbidden || header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("got %d and %v, want %d without leave to read", status, header, http.StatusForbidden)
	}
}

func TestOpen(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for flag, addrs := range map[string][2]string{
		"-http": {taken.Addr().String(), "127.0.0.1:0"},
		"-turn": {"127.0.0.1:0", taken.Addr().String()},
	} {
		if s, err := open(addrs[0], addrs[1]); err == nil || !strings.Contains(err.Error(), flag) {
			t.Errorf("open(%v): got %v, %v, want an error that names %s", addrs, s, err, flag)
		}
	}
}

// openAny opens sockets on ports that are free. One that is so on UDP may not be on TCP.
func openAny(t *testing.T) *sockets {
	t.Helper()
	for try := 1; ; try++ {
		s, err := open("127.0.0.1:0", "127.0.0.1:0")
		switch {
		case err == nil:
			return s
		case try == 20 || !errors.Is(err, syscall.EADDRINUSE):
			t.Fatal(err)
		}
	}
}

// The end of one part is that of the program.
func TestEnd(t *testing.T) {
	s := openAny(t)
	s.page.Close()
	if err := s.run(t.Context()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("run: got %v, want %v", err, net.ErrClosed)
	}
}
