package xmpp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/crowd"
	"github.com/tidewaiter/tidewaiter/internal/load/meter"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func dialer(ln *listentest.Listener) func(context.Context) (net.Conn, error) {
	return func(context.Context) (net.Conn, error) { return ln.Dial(), nil }
}

// inBubble is a test whose time passes only while everything waits, so that it
// does not matter how long the machine takes. Workloads that end by time alone
// have no place in it: they do not wait.
func inBubble(t *testing.T, name string, f func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, f) })
}

// smallChat ends by the number of messages, not by time.
func smallChat() Chat { return Chat{Pairs: 3, Window: 8, Messages: 100, Duration: time.Minute} }

func TestChat(t *testing.T) {
	cert, _ := listentest.Certificate(t, "localhost")
	for _, c := range []struct {
		name   string
		change func(*Chat)
		tls    bool
	}{
		{"plain", func(*Chat) {}, false},
		{"TLS", func(*Chat) {}, true},
		{"window of one", func(w *Chat) { w.Window = 1 }, false},
		{"rich, to the account", func(w *Chat) { w.Rich, w.Bare, w.Body = true, true, 500 }, false},
		{"managed", func(w *Chat) { w.Managed, w.Every = true, 7 }, false},
		{"paced", func(w *Chat) { w.Rate, w.Messages = 2000, 300 }, false},
		{"among idle sessions", func(w *Chat) { w.Idle = 50 }, false},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			f := &fake{}
			if c.tls {
				f.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
			}
			target := startFake(t, f)
			target.TLS = c.tls
			w := smallChat()
			c.change(&w)
			r, err := w.Run(t.Context(), target)
			if err != nil {
				t.Fatal(err)
			}
			if r.Faults != (meter.Faults{}) || r.Count != 300 {
				t.Errorf("got %d messages and %+v, want 300 and no faults", r.Count, r.Faults)
			}
			if got := r.Settings["tls"] != ""; got != c.tls {
				t.Errorf("settings: got %v", r.Settings)
			}
			if f.wrongAck > 0 {
				t.Errorf("the clients acknowledged wrongly %d times", f.wrongAck)
			}
		})
	}
}

func TestChatMeasuresForATime(t *testing.T) {
	w := Chat{Pairs: 2, Window: 4, Warm: 20 * time.Millisecond, Duration: 50 * time.Millisecond}
	r, err := w.Run(t.Context(), startFake(t, &fake{}))
	if err != nil || r.Faults.Sum() != 0 || r.Count == 0 || r.Seconds < 0.05 || r.P99 <= 0 || r.P50 > r.P99 || r.P99 > r.Max {
		t.Errorf("got %+v, %v", r, err)
	}
}

// TestChatFindsFaults has servers that do one thing wrong with message 50.
func TestChatFindsFaults(t *testing.T) {
	var held string
	for _, c := range []struct {
		name string
		do   func(el string) []string
		want func(meter.Faults) bool
	}{
		{"loses it", func(string) []string { return nil }, func(f meter.Faults) bool { return f == meter.Faults{Lost: 1} }},
		{"sends it twice", func(el string) []string { return []string{el, el} }, func(f meter.Faults) bool { return f == meter.Faults{Duplicate: 1} }},
		{"changes it", func(el string) []string {
			return []string{strings.Replace(el, "</body>", "!</body>", 1)}
		}, func(f meter.Faults) bool { return f == meter.Faults{Corrupt: 1} }},
		{"names another sender", func(el string) []string {
			return []string{strings.Replace(el, "from='u", "from='v", 1)}
		}, func(f meter.Faults) bool { return f == meter.Faults{WrongFrom: 1} }},
		{"bounces it", func(string) []string { return []string{"bounce"} }, func(f meter.Faults) bool { return f == meter.Faults{Bounced: 1} }},
		{"cuts the connection", func(string) []string { return []string{"cut"} }, func(f meter.Faults) bool { return f.Broken >= 1 && f.Lost >= 1 }},
		{"holds it back", func(el string) []string { held = el; return nil }, func(f meter.Faults) bool { return f == meter.Faults{Reordered: 1} }},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			held = ""
			target := startFake(t, &fake{message: func(n int, el string) []string {
				switch {
				case n == 50:
					return c.do(el)
				case n == 51 && held != "":
					return []string{el, held}
				}
				return []string{el}
			}})
			w := smallChat()
			w.Pairs = 1
			r, err := w.Run(t.Context(), target)
			if err != nil || !c.want(r.Faults) {
				t.Errorf("got %+v, %v", r.Faults, err)
			}
		})
	}
}

// TestChatFindsWrongAcknowledgements has a server that acknowledges one stanza
// more than it got, or one less.
func TestChatFindsWrongAcknowledgements(t *testing.T) {
	for _, more := range []uint32{1, ^uint32(0)} {
		inBubble(t, fmt.Sprint(int32(more), " more"), func(t *testing.T) {
			w := smallChat()
			w.Managed, w.Every = true, 50
			r, err := w.Run(t.Context(), startFake(t, &fake{ackMore: more}))
			if err != nil || r.Faults.WrongAck == 0 {
				t.Errorf("got %+v, %v; want wrong acknowledgements", r.Faults, err)
			}
			r.Faults.WrongAck = 0
			if r.Faults.Sum() != 0 {
				t.Errorf("got %+v, want nothing else", r.Faults)
			}
		})
	}
}

func TestChatEndsWithItsContext(t *testing.T) {
	errEnough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	n := 0
	target := startFake(t, &fake{message: func(int, string) []string {
		if n++; n == 100 {
			cancel(errEnough)
		}
		return nil // and nothing ever arrives
	}})
	target.Errors = nil
	w := smallChat()
	w.Window = 1000
	if _, err := w.Run(ctx, target); !errors.Is(err, errEnough) {
		t.Errorf("got %v, want %v", err, errEnough)
	}
}

func TestOffline(t *testing.T) {
	w := Offline{Pairs: 3, Messages: 40, Window: 8, Every: 1}
	for _, c := range []struct {
		name string
		fake *fake
		want meter.Faults
	}{
		{"in order", &fake{}, meter.Faults{}},
		{"loses one", &fake{message: func(n int, el string) []string {
			if n == 50 {
				return nil
			}
			return []string{el}
		}}, meter.Faults{Lost: 1}},
		{"stores one twice", &fake{message: func(n int, el string) []string {
			if n == 50 {
				return []string{el, el}
			}
			return []string{el}
		}}, meter.Faults{Duplicate: 1}},
		{"keeps what was fetched", &fake{keepAll: true}, meter.Faults{Duplicate: 120}},
	} {
		inBubble(t, c.name, func(t *testing.T) {
			r, err := w.Run(t.Context(), startFake(t, c.fake))
			if err != nil || r.Faults != c.want || r.Count != 120 {
				t.Errorf("got %d stored, %+v, %v; want 120 and %+v", r.Count, r.Faults, err, c.want)
			}
		})
	}
}

func TestOfflineNeedsAcknowledgements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target := startFake(t, &fake{ackMore: ^uint32(4)}) // five are never acknowledged
		r, err := Offline{Pairs: 1, Messages: 10, Window: 4, Every: 1}.Run(t.Context(), target)
		if err != nil || r.Faults.WrongAck < 1 {
			t.Errorf("got %+v, %v; want wrong acknowledgements", r.Faults, err)
		}
	})
}

func TestPresence(t *testing.T) {
	w := Presence{Users: 8, Contacts: 4, Window: 2, Duration: 30 * time.Millisecond}
	target := startFake(t, &fake{})
	for _, pass := range []string{"strangers", "friends already"} {
		r, err := w.Run(t.Context(), target)
		if err != nil || r.Faults != (meter.Faults{}) || r.Count == 0 {
			t.Errorf("%s: got %d deliveries, %+v, %v; want some and no faults", pass, r.Count, r.Faults, err)
		}
	}
}

func TestPresenceFindsWhatIsLost(t *testing.T) {
	target := startFake(t, &fake{presence: func(n int) bool { return n != 10 }})
	target.Patience = 500 * time.Millisecond
	r, err := Presence{Users: 6, Contacts: 2, Window: 2, Duration: 30 * time.Millisecond}.Run(t.Context(), target)
	if err != nil || r.Faults != (meter.Faults{Lost: 1}) {
		t.Errorf("got %+v, %v; want one lost", r.Faults, err)
	}
}

func TestPresenceRefusesWhatCannotBe(t *testing.T) {
	target := startFake(t, &fake{})
	for _, w := range []Presence{{Users: 41, Contacts: 2}, {Users: 4, Contacts: 4}, {Users: 4}} {
		if _, err := w.Run(t.Context(), target); err == nil {
			t.Errorf("%+v: want an error", w)
		}
	}
}

func TestRegisterLoginsIdle(t *testing.T) {
	target := startFake(t, &fake{})
	for _, w := range []interface {
		Run(context.Context, *Target) (meter.Result, error)
	}{Register{}, Logins{Clients: 20, Passes: 2}, Idle{Clients: 40}} {
		r, err := w.Run(t.Context(), target)
		if err != nil || r.Count != 40 {
			t.Errorf("%s: got %d, %v; want 40", r.Workload, r.Count, err)
		}
	}
}

func TestWhatIsNotOffered(t *testing.T) {
	target := startFake(t, &fake{bare: true})
	managed := smallChat()
	managed.Managed = true
	encrypted := startFake(t, &fake{})
	encrypted.TLS = true
	scram := startFake(t, &fake{})
	scram.Mechanism = scramSHA1
	for _, c := range []struct {
		name string
		run  func() error
	}{
		{"stream management", func() error { _, err := managed.Run(t.Context(), target); return err }},
		{"rosters", func() error { _, err := Presence{Users: 4, Contacts: 2}.Run(t.Context(), target); return err }},
		{"offline messages", func() error { _, err := Offline{Pairs: 1}.Run(t.Context(), target); return err }},
		{"STARTTLS", func() error { _, err := smallChat().Run(t.Context(), encrypted); return err }},
		{"SCRAM", func() error { _, err := smallChat().Run(t.Context(), scram); return err }},
	} {
		if err := c.run(); !errors.Is(err, ErrNotOffered) {
			t.Errorf("%s: got %v, want %v", c.name, err, ErrNotOffered)
		}
	}
}

func TestRoomIsChecked(t *testing.T) {
	n, ok := meter.Descriptors(0)
	if !ok {
		t.Skip("the system does not say how many files may be open")
	}
	w := smallChat()
	w.Idle = n
	if _, err := w.Run(t.Context(), startFake(t, &fake{})); !errors.Is(err, crowd.ErrNoRoom) {
		t.Errorf("got %v, want %v", err, crowd.ErrNoRoom)
	}
}

func TestComplaintsAreBounded(t *testing.T) {
	var out strings.Builder
	target := &Target{Errors: &out}
	for range 100 {
		target.complain("x")
	}
	if got := strings.Count(out.String(), "x\n"); got != maxTold {
		t.Errorf("got %d lines, want %d", got, maxTold)
	}
}

// TestClientBoundsElements has a server that never ends an element.
func TestClientBoundsElements(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("<message>"), zeros{})
	c := newClient(t.Context(), readConn{Reader: endless}, 0)
	defer c.abort()
	if _, err := c.next(); err == nil || len(c.buf) > maxElement {
		t.Errorf("got %v with a buffer of %d bytes, want an error and at most %d", err, len(c.buf), maxElement)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

type readConn struct {
	net.Conn
	io.Reader
}

func (r readConn) Read(p []byte) (int, error) { return r.Reader.Read(p) }
func (r readConn) Close() error               { return nil }
