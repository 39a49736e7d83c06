package xmppstream

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/internal/netserve"
	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// Two transports, one of which opens the stream, go through STARTTLS. What comes
// in the clear behind <proceed/> does not count.
func TestStartTLSClient(t *testing.T) {
	for name, evil := range map[string]string{
		"clean":        "",
		"white space":  "\n",
		"a stanza":     "<message from='one.test' to='two.test' id='evil'/>",
		"half of one":  "<message id='evil",
		"features":     "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
		"another tree": "</stream:stream>",
	} {
		t.Run(name, func(t *testing.T) {
			a, b := listentest.NewConn(netip.AddrPort{}, netip.AddrPort{}) // unlike those of net.Pipe, writes do not wait for reads
			opener := NewTCP(a, TCPOptions{Namespace: stanza.NSServer})
			answerer := NewTCP(b, TCPOptions{Namespace: stanza.NSServer})
			var other sync.WaitGroup
			other.Go(func() {
				if err := receive(answerer, evil, t); err != nil {
					t.Errorf("answering side: %v", err)
				}
			})
			h, f := greet(t, opener)
			if h.ID != "first" || !f.StartTLS || !f.RequireTLS || f.Dialback {
				t.Errorf("before TLS: got %+v, %+v", h, f)
			}
			if err := opener.Write(stanza.Batch{Bytes: []byte(starttls)}); err != nil {
				t.Fatal(err)
			}
			if e, err := opener.Read(); err != nil || e.Nonza == nil || e.Nonza.Name.Local != "proceed" {
				t.Fatalf("got %+v, error %v; want proceed", e, err)
			}
			if err := opener.StartTLSClient(t.Context(), clientTLS); err != nil {
				t.Fatal(err)
			}
			if p := opener.Peer(); !p.Secure || p.TLS == nil || len(p.TLS.PeerCertificates) == 0 {
				t.Errorf("after TLS: got %+v", p)
			}
			h, f = greet(t, opener)
			if h.ID != "second" || !f.Dialback || !f.Bidi || !f.SM || f.StartTLS {
				t.Errorf("after TLS: got %+v, %+v", h, f)
			}
			if err := opener.Close(nil); err != nil {
				t.Errorf("Close: %v", err)
			}
			other.Wait()
		})
	}
}

// greet opens a stream and returns what the peer says first.
func greet(t *testing.T, tr *TCP) (stanza.Header, Features) {
	t.Helper()
	if err := tr.Header(stanza.Header{From: "one.test", To: "two.test", Version: "1.0", Namespace: stanza.NSServer}, stanza.Batch{}); err != nil {
		t.Fatal(err)
	}
	h, err := tr.Open()
	if err != nil {
		t.Fatal(err)
	}
	e, err := tr.Read()
	if err != nil || e.Nonza == nil || e.Nonza.Name != (stanza.Name{Space: stanza.NSStream, Local: "features"}) {
		t.Fatalf("got %+v, error %v; want features", e, err)
	}
	return h, ParseFeatures(e.Nonza)
}

// receive plays the side that is connected to.
func receive(tr *TCP, evil string, t *testing.T) error {
	offer := func(id string, f Features) error {
		if _, err := tr.Open(); err != nil {
			return err
		}
		return tr.Header(stanza.Header{ID: id, Version: "1.0", Namespace: stanza.NSServer}, stanza.Batch{Bytes: f.AppendXML(nil, false)})
	}
	if err := offer("first", Features{StartTLS: true, RequireTLS: true}); err != nil {
		return err
	}
	if _, err := tr.Read(); err != nil {
		return err
	}
	if err := tr.Write(stanza.Batch{Bytes: []byte(proceed + evil)}); err != nil {
		return err
	}
	if err := tr.StartTLS(t.Context(), netserve.NewTLS(serverTLS(t)), ""); err != nil {
		return err
	}
	if err := offer("second", Features{Dialback: true, Bidi: true, SM: true}); err != nil {
		return err
	}
	if _, err := tr.Read(); err != io.EOF {
		return fmt.Errorf("got %w, want the end of the stream", err)
	}
	return tr.Close(nil)
}

// A header between servers declares the prefix of dialback, others do not.
func TestHeaderDialback(t *testing.T) {
	for ns, want := range map[string]bool{stanza.NSServer: true, stanza.NSClient: false, stanza.NSComponent: false} {
		got := string(appendHeader(nil, stanza.Header{Namespace: ns}))
		if strings.Contains(got, "xmlns:db='jabber:server:dialback'") != want {
			t.Errorf("%s: got %s", ns, got)
		}
	}
}

func TestParseFeatures(t *testing.T) {
	for _, f := range []Features{
		{},
		{StartTLS: true},
		{StartTLS: true, RequireTLS: true},
		{Mechanisms: []string{"EXTERNAL", "SCRAM-SHA-1"}, Dialback: true, Bidi: true},
		{Mechanisms: []string{"SCRAM-SHA-1-PLUS"}, Bindings: []string{"tls-exporter"}},
		{Bind: true, Session: true, SM: true},
	} {
		xml := string(f.AppendXML(nil, true))
		if got := ParseFeatures(element(t, xml)); !reflect.DeepEqual(got, f) {
			t.Errorf("%s\ngot  %+v\nwant %+v", xml, got, f)
		}
	}
	many := "<mechanisms xmlns='" + NSSASL + "'>" + strings.Repeat("<mechanism>X</mechanism>", 1000) + "</mechanisms>"
	f := ParseFeatures(element(t, "<stream:features xmlns:stream='http://etherx.jabber.org/streams'>"+many+"<x xmlns='urn:x'/></stream:features>"))
	if len(f.Mechanisms) != maxListed {
		t.Errorf("got %d mechanisms, want %d", len(f.Mechanisms), maxListed)
	}
}

func TestAppendAuth(t *testing.T) {
	for _, initial := range [][]byte{nil, {}, []byte("one.test"), {0, 255}} {
		e := element(t, string(AppendAuth(nil, "EXTERNAL", initial)))
		mechanism, got, err := ParseAuth(e)
		if mechanism != "EXTERNAL" || !bytes.Equal(got, initial) || (got == nil) != (initial == nil) || err != nil {
			t.Errorf("%#v: got %q, %#v, error %v", initial, mechanism, got, err)
		}
	}
}

// What was written may have arrived; what was not, cannot have.
func TestUndeliveredSent(t *testing.T) {
	sent := func(b *Outbox) string {
		var list []string
		for _, q := range b.Undelivered() {
			if q.Sent {
				list = append(list, q.Stanza.ID)
			}
		}
		return strings.Join(list, " ")
	}
	synctest.Test(t, func(t *testing.T) {
		f := &fake{write: func(stanza.Batch) error { return errors.New("broken pipe") }}
		b := blocked(t, f, OutboxOptions{})
		b.Deliver(msg("second", 10))
		f.gate <- struct{}{}
		b.Close(nil)
		if got := sent(b); got != "first" || idsOf(b.Undelivered()) != "first second" {
			t.Errorf("sent: got %q of %s, want first", got, idsOf(b.Undelivered()))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b, _ := managedOn(t, f, OutboxOptions{}, AckOptions{})
		deliver(t, b, "first", "second")
		synctest.Wait()
		if err := b.Acked(1); err != nil {
			t.Fatal(err)
		}
		b.Evict(nil)
		b.Close(nil)
		if got := sent(b); got != "second" {
			t.Errorf("sent and not acknowledged: got %q, want second", got)
		}
	})
}
