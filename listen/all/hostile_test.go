package all_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/listen/all"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	header   = "<stream:stream to='localhost' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
	bind     = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>%s</resource></bind></iq>"
	password = "anchor"
)

// serve runs c2s for the users ana and bo of localhost until the test ends.
func serve(t *testing.T, ln net.Listener, change func(*c2s.Options)) {
	t.Helper()
	h, err := host.New(host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"ana", "bo"} {
		j, err := stanza.NewJID(user, "localhost", "")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Accounts.Create(t.Context(), j, password); err != nil {
			t.Fatal(err)
		}
	}
	o := c2s.Defaults()
	o.AllowPlainWithoutTLS = true
	o.Grace = time.Second
	if change != nil {
		change(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c2s.New(all.C2S(h, nil)).Listen(ctx, ln, o); !errors.Is(err, context.Canceled) {
			t.Errorf("Listen: got %v, want %v", err, context.Canceled)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		ln.Close()
	})
}

func plain(user, password string) string {
	return "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "</auth>"
}

// login returns a client that has bound the resource x.
func login(t *testing.T, conn net.Conn, user string) *listentest.Client {
	t.Helper()
	c := listentest.NewClient(t, conn)
	c.Send(header)
	c.Expect("</stream:features>")
	c.Send(plain(user, password))
	c.Expect("<success")
	c.Send(header)
	c.Expect("</stream:features>")
	c.Send(fmt.Sprintf(bind, "x"))
	c.Expect("</iq>")
	return c
}

// chat sends messages from one client to the other and waits for each.
func chat(from, to *listentest.Client, address string, n int) {
	for i := range n {
		id := fmt.Sprintf("id='m%d'", i)
		from.Send("<message to='" + address + "' " + id + "><body>ahoy</body></message>")
		to.Expect(id)
	}
}

// A storm of wrong passwords costs those who have logged in nothing: their
// messages pass while it goes on, and nobody of the storm gets in.
func TestLoginStorm(t *testing.T) {
	ln := listentest.NewListener()
	serve(t, ln, nil)
	ana, bo := login(t, ln.Dial(), "ana"), login(t, ln.Dial(), "bo")

	const attackers = 100
	var storm sync.WaitGroup
	verdicts := make(chan string, attackers)
	for i := range attackers {
		user := []string{"ana", "nobody"}[i%2]
		storm.Go(func() { verdicts <- attack(ln.Dial(), user) })
	}
	chat(ana, bo, "bo@localhost/x", 200)
	storm.Wait()
	for range attackers {
		if v := <-verdicts; strings.Contains(v, "<success") || !strings.Contains(v, "</stream:stream>") {
			t.Errorf("an attacker got %q", v)
		}
	}
	chat(bo, ana, "ana@localhost/x", 10)
}

// attack tries passwords until the server ends the stream and returns what it
// said.
func attack(conn net.Conn, user string) string {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	var said strings.Builder
	_, _ = conn.Write([]byte(header))
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			return said.String()
		}
		if text := said.String(); strings.HasSuffix(text, "</stream:features>") || strings.HasSuffix(text, "</failure>") {
			if _, err := conn.Write([]byte(plain(user, "ankle"))); err != nil {
				continue // what was said last is still to be read
			}
		}
	}
}

// Two thousand sockets that say nothing end at the negotiation timeout, and do
// not keep others out until then.
func TestSilentSockets(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serve(t, ln, func(o *c2s.Options) { o.NegotiationTimeout = 2 * time.Second })
	dial := func() net.Conn {
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		_ = c.SetReadDeadline(time.Now().Add(time.Minute))
		return c
	}
	const silent = 2000
	conns := make([]net.Conn, silent)
	for i := range conns {
		conns[i] = dial()
	}
	ana, bo := login(t, dial(), "ana"), login(t, dial(), "bo")
	chat(ana, bo, "bo@localhost/x", 50)
	for i, c := range conns {
		for buf := make([]byte, 512); ; {
			if _, err := c.Read(buf); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("connection %d did not end", i)
			} else if err != nil {
				break
			}
		}
	}
	chat(bo, ana, "ana@localhost/x", 10) // the timeout ends with the login
}
