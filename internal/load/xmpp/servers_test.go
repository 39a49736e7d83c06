package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

func smallComponent(t *Target) Component {
	return Component{Chat: Chat{Window: 8, Messages: 100, Duration: time.Minute}, Clients: 3, Dial: t.Dial, Domain: "echo.localhost", Secret: "s"}
}

func TestComponent(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Component)
	}{
		{"usual", func(*Component) {}},
		{"rich", func(w *Component) { w.Rich, w.Body = true, 500 }},
		{"window of one", func(w *Component) { w.Window = 1 }},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			target := startFake(t, &fake{secret: "s"})
			w := smallComponent(target)
			c.change(&w)
			r, err := w.Run(t.Context(), target)
			if err != nil || r.Faults != (meter.Faults{}) || r.Count != 300-1 || r.Unit != "round trips" {
				t.Errorf("got %d %s, %+v, %v; want all but the first of 300 and no faults", r.Count, r.Unit, r.Faults, err)
			}
		})
	}
	inBubble(t, "wrong secret", func(t *testing.T) {
		target := startFake(t, &fake{secret: "other"})
		if _, err := smallComponent(target).Run(t.Context(), target); err == nil || !strings.Contains(err.Error(), "echo.localhost") {
			t.Errorf("got %v, want an error", err)
		}
	})
}

// TestComponentFindsFaults has servers that do one thing wrong on the way to the
// component or back: messages are counted both ways.
func TestComponentFindsFaults(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(el string) []string
		want meter.Faults
	}{
		{"loses it", func(string) []string { return nil }, meter.Faults{Lost: 1}},
		{"sends it twice", func(el string) []string { return []string{el, el} }, meter.Faults{Duplicate: 1}},
		{"bounces it", func(string) []string { return []string{"bounce"} }, meter.Faults{Bounced: 1}},
		{"returns it itself", func(el string) []string {
			return []string{strings.Replace(el, "from='", "from='x", 1)}
		}, meter.Faults{WrongFrom: 1}},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			var once sync.Once
			target := startFake(t, &fake{secret: "s", message: func(n int, el string) (out []string) {
				out = []string{el}
				fromComponent := strings.Contains(el, "from='echo@")
				if n >= 50 && (fromComponent || c.want.Bounced > 0) && fromComponent == (c.want.Bounced == 0) {
					once.Do(func() { out = c.do(el) })
				}
				return out
			}})
			w := smallComponent(target)
			w.Clients = 1
			r, err := w.Run(t.Context(), target)
			if err != nil || r.Faults != c.want {
				t.Errorf("got %+v, %v; want %+v", r.Faults, err, c.want)
			}
		})
	}
}

func TestReturned(t *testing.T) {
	for _, c := range []struct{ el, want string }{
		{
			"<message from='a@h/r' to='echo@c' type='chat' id='7'><body>x</body></message>",
			"<message type='chat' from='echo@c' to='a@h/r' id='7'><body>x</body></message>",
		},
		{"<message from='a@h/r' to='echo@c' type='error' id='7'><error/></message>", ""},
		{"<message from='a@h/r' to='echo@c' id='7'/>", ""},
		{"<presence from='a@h/r' to='echo@c'/>", ""},
	} {
		if got := string(appendReturned(nil, []byte(c.el))); got != c.want {
			t.Errorf("%s: got %s, want %s", c.el, got, c.want)
		}
	}
}

// twoFakes starts two servers that know one another.
func twoFakes(t *testing.T, a, b *fake) (*Target, *Target) {
	a.domain, b.domain = "a.example", "b.example"
	a.peer, b.peer = b, a
	return startFake(t, a), startFake(t, b)
}

func TestFederation(t *testing.T) {
	inBubble(t, "both ways", func(t *testing.T) {
		a, b := new(fake), new(fake)
		target, peer := twoFakes(t, a, b)
		w := Federation{Chat: smallChat(), Peer: peer}
		w.Pairs = 4
		r, err := w.Run(t.Context(), target)
		if err != nil || r.Faults != (meter.Faults{}) || r.Count != 400-2 {
			t.Fatalf("got %d messages, %+v, %v; want all but the first two of 400 and no faults", r.Count, r.Faults, err)
		}
		if a.foreign != 200 || b.foreign != 200 {
			t.Errorf("got %d messages one way and %d the other, want 200 each", a.foreign, b.foreign)
		}
	})
	inBubble(t, "a loss on one server", func(t *testing.T) {
		target, peer := twoFakes(t, new(fake), &fake{message: func(n int, el string) []string {
			if n == 50 {
				return nil
			}
			return []string{el}
		}})
		r, err := Federation{Chat: smallChat(), Peer: peer}.Run(t.Context(), target)
		if err != nil || r.Faults != (meter.Faults{Lost: 1}) {
			t.Errorf("got %+v, %v; want one lost", r.Faults, err)
		}
	})
	inBubble(t, "no connection", func(t *testing.T) {
		bounce := func(int, string) []string { return nil }
		target, peer := twoFakes(t, &fake{message: bounce}, new(fake))
		if _, err := (Federation{Chat: smallChat(), Peer: peer}).Run(t.Context(), target); err == nil {
			t.Error("want an error: nothing gets to the other server")
		}
	})
}

// fakeServer does server dialback with the domains of Domains.
type fakeServer struct {
	tls     *tls.Config // nil: plain streams
	refuses bool        // no key is valid
	silent  bool        // requests are not answered
	leaves  bool        // ends its stream after the answer

	dial  func() net.Conn
	conns sync.WaitGroup
}

func (f *fakeServer) serve(ctx context.Context, conn net.Conn) {
	c := newClient(ctx, conn, 0)
	defer c.abort()
	var out *Client
	defer func() {
		if out != nil {
			out.abort()
		}
	}()
	if f.open(c) != nil {
		return
	}
	remote := string(attribute(c.opening, " from="))
	for {
		el, err := c.next()
		if err != nil {
			_ = c.send("</stream:stream>")
			return
		}
		switch name(el) {
		case "starttls":
			_ = c.send("<proceed xmlns='" + nsTLS + "'/>")
			c.conn, c.r, c.w = tls.Server(conn, f.tls), 0, 0
			err = f.open(c)
		case "db:result":
			kind := "invalid"
			if out, err = f.connect(ctx, remote, string(content(el))); err == nil && !f.refuses {
				kind = "valid"
			}
			err = c.send("<db:result from='server.example' to='" + remote + "' type='" + kind + "'/>")
		case "iq":
			if !f.silent {
				err = out.send("<iq type='result' id='ping' from='server.example' to='" + remote + "'/>")
			}
			if f.leaves {
				_ = out.conn.Close()
			}
		}
		if err != nil {
			return
		}
	}
}

// open answers a header.
func (f *fakeServer) open(c *Client) error {
	if err := c.header(); err != nil {
		return err
	}
	features := "<dialback xmlns='urn:xmpp:features:dialback'/>"
	if _, secure := c.conn.(*tls.Conn); f.tls != nil && !secure {
		features = "<starttls xmlns='" + nsTLS + "'/>"
	}
	return c.send(serverHeader("server.example", string(attribute(c.opening, " from=")), "s1") + "<stream:features>" + features + "</stream:features>")
}

// connect opens a stream to a domain, has a key verified and proves the server.
func (f *fakeServer) connect(ctx context.Context, remote, key string) (*Client, error) {
	c := newClient(ctx, f.dial(), 0)
	header := serverHeader("server.example", remote, "")
	err := errors.Join(c.send(header), c.header())
	if err != nil {
		return c, err
	}
	el, err := c.expect("stream:features")
	if err != nil {
		return c, err
	}
	if strings.Contains(string(el), "starttls") {
		_ = c.send("<starttls xmlns='" + nsTLS + "'/>")
		if _, err := c.expect("proceed"); err != nil {
			return c, err
		}
		c.conn, c.r, c.w = tls.Client(c.conn, &tls.Config{InsecureSkipVerify: true}), 0, 0
		if err := errors.Join(c.send(header), c.header()); err != nil {
			return c, err
		}
		if _, err := c.expect("stream:features"); err != nil {
			return c, err
		}
	}
	for _, x := range []string{
		"<db:verify from='server.example' to='" + remote + "' id='s1'>" + key + "</db:verify>",
		"<db:result from='server.example' to='" + remote + "'>whatever</db:result>",
	} {
		if err := c.send(x); err != nil {
			return c, err
		}
		el, err := c.expect("db:verify", "db:result")
		if err != nil || string(attribute(startTag(el), " type=")) != "valid" {
			return c, fmt.Errorf("got %s, %w", el, err)
		}
	}
	return c, nil
}

// runDomains runs five domains against a server.
func runDomains(t *testing.T, f *fakeServer) (meter.Result, error) {
	ours, theirs := listentest.NewListener(), listentest.NewListener()
	f.dial = ours.Dial
	ctx := t.Context()
	f.conns.Go(func() {
		for {
			c, err := theirs.Accept()
			if err != nil {
				return
			}
			f.conns.Go(func() { f.serve(ctx, c) })
		}
	})
	defer f.conns.Wait()
	defer theirs.Close()
	target := &Target{Dial: dialer(theirs), Domain: "server.example", TLS: f.tls != nil, LoginTimeout: 5 * time.Second}
	return Domains{
		Count: 5, Suffix: "idle.example", Settle: time.Second,
		Listen: func(context.Context) (net.Listener, error) { return ours, nil },
	}.Run(ctx, target)
}

func TestDomains(t *testing.T) {
	cert, _ := listentest.Certificate(t, "server.example")
	encrypted := &tls.Config{Certificates: []tls.Certificate{cert}}
	for _, c := range []struct {
		name   string
		server *fakeServer
		faults meter.Faults
		fails  string
	}{
		{"plain", &fakeServer{}, meter.Faults{}, ""},
		{"TLS", &fakeServer{tls: encrypted}, meter.Faults{}, ""},
		{"streams that end", &fakeServer{leaves: true}, meter.Faults{Broken: 5}, ""},
		{"dialback refused", &fakeServer{refuses: true}, meter.Faults{}, "dialback"},
		{"no answer", &fakeServer{silent: true}, meter.Faults{}, "not answered"},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			r, err := runDomains(t, c.server)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Errorf("got %v, want an error with %q", err, c.fails)
				}
				return
			}
			if err != nil || r.Count != 5 || r.Faults != c.faults {
				t.Errorf("got %d, %+v, %v; want 5 and %+v", r.Count, r.Faults, err, c.faults)
			}
		})
	}
}

// TestDialbackKeysAreOnesOwn has a server ask for keys.
func TestDialbackKeysAreOnesOwn(t *testing.T) {
	d := &domains{run: testRun}
	ask := func(to, id, key string) string {
		return d.verify([]byte("<db:verify from='server.example' to='" + to + "' id='" + id + "'>" + key + "</db:verify>"))
	}
	key := d.key("d1.idle.example", "a&b")
	want := "<db:verify from='d1.idle.example' to='server.example' id='a&amp;b' type='valid'/>"
	if got := ask("d1.idle.example", "a&amp;b", "\n"+key+" "); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, bad := range []string{ask("d2.idle.example", "a&amp;b", key), ask("d1.idle.example", "c", key), ask("d1.idle.example", "a&amp;b", "x")} {
		if !strings.Contains(bad, "type='invalid'") {
			t.Errorf("got %s, want it to be invalid", bad)
		}
	}
}
