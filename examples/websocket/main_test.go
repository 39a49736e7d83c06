//lint:file-ignore SA1019 the library lives on under another path; this one was asked for

package main

import (
	"context"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"mellium.im/sasl"
	"nhooyr.io/websocket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bound is how long anything may take here; it only ends tests that hang.
const bound = 30 * time.Second

// start runs the program until the test ends, and returns where it is and the passwords
// that it has printed.
func start(t *testing.T) (address string, passwords map[string]string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- serve(ctx, ln, w) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("serve: got %v, want %v", err, context.Canceled)
		}
	})
	passwords = make(map[string]string)
	printed := ""
	for buf := make([]byte, 200); len(passwords) < 2; {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		printed += string(buf[:n])
		for _, m := range regexp.MustCompile(`(\S+)@localhost with the password (\S{12})\n`).FindAllStringSubmatch(printed, -1) {
			passwords[m[1]] = m[2]
		}
	}
	if !strings.HasPrefix(printed, "open http://"+ln.Addr().String()+" ") {
		t.Errorf("printed: got %q, want the address first", printed)
	}
	return ln.Addr().String(), passwords
}

// client is what the page is, without a page.
type client struct {
	*websocket.Conn
	t *testing.T
}

func (c client) send(text string) {
	c.t.Helper()
	if err := c.Write(c.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// expect reads the next frame, which is an element with a name.
func (c client) expect(name string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), bound)
	defer cancel()
	_, frame, err := c.Read(ctx)
	if err != nil {
		c.t.Fatalf("waiting for <%s/>: %v", name, err)
	}
	var e struct{ XMLName xml.Name }
	if err := xml.Unmarshal(frame, &e); err != nil || e.XMLName.Local != name {
		c.t.Fatalf("got %s (%v), want <%s/>", frame, err, name)
	}
	return string(frame)
}

// content returns the text within an element, decoded.
func (c client) content(element string) []byte {
	c.t.Helper()
	var e struct {
		Text string `xml:",chardata"`
	}
	err := xml.Unmarshal([]byte(element), &e)
	text, bad := base64.StdEncoding.DecodeString(e.Text)
	if err != nil || bad != nil {
		c.t.Fatalf("%s: %v, %v", element, err, bad)
	}
	return text
}

// login returns a client with a session.
func login(t *testing.T, address, user, password string) client {
	t.Helper()
	tr := new(http.Transport)
	t.Cleanup(tr.CloseIdleConnections)
	conn, _, err := websocket.Dial(t.Context(), "ws://"+address+"/ws", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, Subprotocols: []string{"xmpp"},
		HTTPHeader: http.Header{"Origin": {"http://" + address}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	c := client{conn, t}
	const open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>"
	const ns = " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'"
	c.send(open)
	c.expect("open")
	if features := c.expect("features"); !strings.Contains(features, ">SCRAM-SHA-256<") || !strings.Contains(features, ">SCRAM-SHA-1<") {
		t.Errorf("features: got %s, want the mechanisms that the page knows", features)
	}
	m := sasl.NewClient(sasl.ScramSha256, sasl.Credentials(func() (_, _, _ []byte) { return []byte(user), []byte(password), nil }))
	_, first, err := m.Step(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.send("<auth" + ns + " mechanism='SCRAM-SHA-256'>" + base64.StdEncoding.EncodeToString(first) + "</auth>")
	_, last, err := m.Step(c.content(c.expect("challenge")))
	if err != nil {
		t.Fatal(err)
	}
	c.send("<response" + ns + ">" + base64.StdEncoding.EncodeToString(last) + "</response>")
	if _, _, err := m.Step(c.content(c.expect("success"))); err != nil {
		t.Fatal(err)
	}
	c.send(open)
	c.expect("open")
	c.expect("features")
	c.send("<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>")
	c.expect("iq")
	c.send("<presence xmlns='jabber:client'/>")
	c.expect("presence") // the client's own
	return c
}

func TestChat(t *testing.T) {
	address, passwords := start(t)
	ana, bo := login(t, address, "ana", passwords["ana"]), login(t, address, "bo", passwords["bo"])
	ana.send("<message xmlns='jabber:client' type='chat' to='bo@localhost'><body>ahoy</body></message>")
	if got := bo.expect("message"); !strings.Contains(got, "<body>ahoy</body>") || !strings.Contains(got, "ana@localhost/") {
		t.Errorf("got %s, want the message of ana", got)
	}
}

func TestPage(t *testing.T) {
	address, _ := start(t)
	tr := new(http.Transport)
	defer tr.CloseIdleConnections()
	r, err := (&http.Client{Transport: tr, Timeout: bound}).Get("http://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK || !strings.Contains(string(text), `<meta name="websocket" content="/ws">`) {
		t.Errorf("got %s, %v and %d bytes, want the page with the path of the WebSocket", r.Status, err, len(text))
	}
	if csp := r.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; ") {
		t.Errorf("Content-Security-Policy: got %q", csp)
	}
}
