package bosh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// What is said when a session is created (XEP-0124, section 7.2; XEP-0206, section 4).
func TestCreation(t *testing.T) {
	for _, c := range []struct {
		name, asked string
		o           bosh.Options
		want        map[string]string
	}{
		{"usual", "ver='1.6' wait='60' hold='1'", bosh.Defaults(), map[string]string{"ver": "1.6"}},
		{"newer client", "ver='1.100' wait='60' hold='1'", bosh.Defaults(), map[string]string{}},
		{"newest client", "ver='2.0' wait='60' hold='1'", bosh.Defaults(), map[string]string{}},
		{"legacy client", "wait='60' hold='1'", bosh.Defaults(), map[string]string{"ver": ""}},
		{"modest", "ver='1.11'", bosh.Defaults(), map[string]string{"wait": "300"}},
		{"greedy", "ver='1.11' wait='99999999999999999999' hold='100'", bosh.Defaults(), map[string]string{"wait": "300"}},
		{"polling by hold", "ver='1.11' wait='60' hold='0'", bosh.Defaults(), map[string]string{"hold": "0", "requests": "1", "inactivity": "34"}},
		{"polling by wait", "ver='1.11' wait='0' hold='1'", bosh.Defaults(), map[string]string{"wait": "0", "inactivity": "34"}},
		{"acknowledgements", "ver='1.11' wait='60' ack='1'", bosh.Defaults(), map[string]string{"ack": "1000"}},
		{"options", "ver='1.11' wait='60'", bosh.Options{MaxInactivity: 9500 * time.Millisecond, MaxPause: time.Minute}, map[string]string{"inactivity": "10", "maxpause": "60"}},
		{"ignored", "ver='1.11' wait='60' route='xmpp:b.test:9999' stream='1' secure='true' charsets='UTF-8' unknown='1'", bosh.Defaults(), map[string]string{}},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, c.o)
			defer r.end()
			p := r.start(creation(c.asked))
			s := <-r.streams
			h, err := s.Open()
			if want := (stanza.Header{To: "a.test", Version: "1.0", Namespace: stanza.NSClient}); err != nil || h != want {
				t.Errorf("Open: got %+v, %v, want %+v", h, err, want)
			}
			if err := s.Header(stanza.Header{From: "a.test", ID: "i&d", Version: "1.0"}, batch("<f/>")); err != nil {
				t.Error(err)
			}
			got := p.wait().attributes()
			if len(got["sid"]) < 22 {
				t.Errorf("sid: got %q, want 128 bits at least", got["sid"])
			}
			delete(got, "sid")
			want := map[string]string{
				"xmlns": "http://jabber.org/protocol/httpbind", "xmlns:xmpp": "urn:xmpp:xbosh", "xmlns:stream": stanza.NSStream,
				"wait": "60", "hold": "1", "requests": "2", "ver": "1.11", "polling": "2", "inactivity": "30", "maxpause": "120",
				"secure": "true", "from": "a.test", "authid": "i&amp;d", "xmpp:version": "1.0", "xmpp:restartlogic": "true",
			}
			maps.Copy(want, c.want)
			maps.DeleteFunc(want, func(_, v string) bool { return v == "" })
			if !maps.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			_ = s.end()
		})
	}
}

// What the client says about its stream is its header.
func TestHeader(t *testing.T) { synctest.Test(t, testHeader) }

func testHeader(t *testing.T) {
	r := newRig(t, bosh.Defaults())
	defer r.end()
	p := r.start(body(1, "xmlns:x='urn:xmpp:xbosh' x:version='1.1' to='a.test' from='ana@a.test' xml:lang='de'", ""))
	s := <-r.streams
	h, err := s.Open()
	if want := (stanza.Header{To: "a.test", From: "ana@a.test", Lang: "de", Version: "1.1", Namespace: stanza.NSClient}); err != nil || h != want {
		t.Errorf("got %+v, %v, want %+v", h, err, want)
	}
	if err := s.Header(stanza.Header{}, batch("<f/>")); err != nil {
		t.Error(err)
	}
	c := &client{r, p.wait().attributes()["sid"], 1}
	q := c.send("xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='1'", message) // what a restart has besides does not count
	h, err = s.Open()
	if want := (stanza.Header{To: "a.test", Lang: "de", Version: "1.0", Namespace: stanza.NSClient}); err != nil || h != want {
		t.Errorf("restart: got %+v, %v, want %+v", h, err, want)
	}
	if err := s.Header(stanza.Header{From: "a.test", ID: "x", Version: "1.0"}, batch("<f/>")); err != nil {
		t.Error(err)
	}
	q.wait().is(t, "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams'><f/></body>")
	q = c.send("xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'", "")
	if _, err := s.Read(); !errors.As(err, new(*stanza.StreamError)) {
		t.Errorf("restart at the wrong time: got %v, want a stream error", err)
	}
	_ = s.end()
	q.wait()
}

// Requests that cannot make a session.
func TestNoSession(t *testing.T) {
	r := newRig(t, bosh.Defaults())
	defer r.end()
	o := bosh.Defaults()
	r.handler.Configure(stanza.PerHost[*bosh.Options]{Value: &o, Hosts: map[string]*bosh.Options{"off.test": nil}})
	for _, c := range []struct {
		name, body string
		condition  string
		status     int
	}{
		{"no to", body(1, "ver='1.6'", ""), "improper-addressing", 200},
		{"empty to", body(1, "ver='1.6' to=''", ""), "improper-addressing", 200},
		{"bad to", body(1, "ver='1.6' to='@'", ""), "improper-addressing", 200},
		{"off", body(1, "ver='1.6' to='OFF.test'", ""), "host-unknown", 200},
		{"unknown session", body(1, "sid='1'", ""), "item-not-found", 200},
		{"no rid", "<body xmlns='http://jabber.org/protocol/httpbind' ver='1.6' to='a.test'/>", "bad-request", 200},
		{"no rid of a legacy client", "<body xmlns='http://jabber.org/protocol/httpbind' to='a.test'/>", "bad-request", 400},
		{"rid 0", body(0, "ver='1.6' to='a.test'", ""), "bad-request", 200},
		{"rid too high", strings.Replace(body(1, "ver='1.6' to='a.test'", ""), "rid='1'", "rid='9007199254740992'", 1), "bad-request", 200},
		{"negative rid", body(-1, "ver='1.6' to='a.test'", ""), "bad-request", 200},
		{"ends at once", body(1, "ver='1.6' to='a.test' type='terminate'", ""), "bad-request", 200},
		{"ver", body(1, "ver='1' to='a.test'", ""), "bad-request", 200},
		{"content", body(1, "ver='1.6' to='a.test' content='text/xml&#10;X: y'", ""), "bad-request", 200},
		{"half an element", body(1, "ver='1.6' to='a.test'", "<message>"), "bad-request", 200},
		{"text", body(1, "ver='1.6' to='a.test'", "text"), "bad-request", 200},
		{"long", body(1, "ver='1.6' to='a.test'", strings.Repeat("<message/>", 1000)), "policy-violation", 200},
		{"large", body(1, "to='a.test'", strings.Repeat("<message/>", 1000)), "policy-violation", 403},
		{"many elements", body(1, "ver='1.6' to='a.test'", strings.Repeat("<message/>", 33)), "policy-violation", 200},
		{"nothing", "", "bad-request", 400},
		{"no XML", "body", "bad-request", 400},
		{"another element", "<message rid='1'/>", "bad-request", 400},
		{"another namespace", strings.Replace(creation(""), "httpbind", "bind", 1), "bad-request", 400},
		{"bad number", creation("ver='1.6' wait='x'"), "bad-request", 200},
		{"bad boolean", creation("xmpp:restart='2'"), "bad-request", 400},
		{"bad key", creation("newkey='1' ver='1.6'"), "bad-request", 200},
		{"endless tag", "<body a='" + strings.Repeat("x", 5000), "bad-request", 400},
		{"DTD", "<!DOCTYPE body>" + creation(""), "bad-request", 400},
		{"Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?>" + creation(""), "bad-request", 400},
	} {
		bubble(t, c.name, func(t *testing.T) {
			a := r.post(c.body)
			a.ends(t, c.condition)
			if a.status != c.status {
				t.Errorf("got %d, want %d", a.status, c.status)
			}
		})
	}
}

// What clients send comes in the order of their requests, whatever that of its arrival.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		late := c.next("", "<message id='1'/><iq id='2' type='get'><x xmlns='urn:x'/></iq>")
		second := c.send("", "<presence id='3'/><a xmlns='urn:xmpp:sm:3' h='4'/>")
		synctest.Wait()
		if !second.waits() {
			t.Error("the second request was answered before the first")
		}
		first := r.start(late)
		for _, want := range []string{"1", "2", "3"} {
			if in, err := s.Read(); err != nil || in.Stanza.ID != want {
				t.Errorf("got %+v, %v, want stanza %s", in, err, want)
			}
		}
		if in, err := s.Read(); err != nil || in.Nonza == nil || in.Nonza.Name.Local != "a" || in.Size != len("<a xmlns='urn:xmpp:sm:3' h='4'/>") {
			t.Errorf("got %+v, %v, want <a/>", in, err)
		}
		first.wait().is(t, empty)
		_ = s.end()
		second.wait()
	})
}

// Elements have the names that they have within the body.
func TestNames(t *testing.T) {
	for _, c := range []struct{ name, body, space, local string }{
		{"none", "<body xmlns='http://jabber.org/protocol/httpbind' RID><iq id='1' type='get'><x/></iq></body>", "jabber:client", "iq"},
		{"own", "<body xmlns='http://jabber.org/protocol/httpbind' RID><x xmlns='urn:x'/></body>", "urn:x", "x"},
		{"of the body", "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:y='urn:y' RID><y:x/></body>", "urn:y", "x"},
		{"prefixed body", "<b:body xmlns:b='http://jabber.org/protocol/httpbind' xmlns='jabber:client' RID><presence/></b:body>", "jabber:client", "presence"},
		{"prefixed body without default", "<b:body xmlns:b='http://jabber.org/protocol/httpbind' RID> <presence/> </b:body >", "jabber:client", "presence"},
		{"declaration", "<?xml version='1.0' encoding='UTF-8'?>\n<body xmlns='http://jabber.org/protocol/httpbind' RID><presence/></body>\n", "jabber:client", "presence"},
		{"of the body in a stanza", "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:y='urn:y' RID><message y:z='1'/></body>", "jabber:client", "message"},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			p := r.start(strings.Replace(c.body, "RID", "rid='1001' sid='"+x.sid+"'", 1))
			in, err := s.Read()
			switch {
			case err != nil:
				t.Error(err)
			case in.Nonza != nil:
				if got := in.Nonza.Name; got != (stanza.Name{Space: c.space, Local: c.local}) {
					t.Errorf("got %v, want %s of %s", got, c.local, c.space)
				}
			case in.Stanza.Kind.String() != c.local || c.space != stanza.NSClient:
				t.Errorf("got %v, want %s", in.Stanza.Kind, c.local)
			case strings.Contains(c.body, "y:z") && in.Stanza.Attrs != " y:z='1' xmlns:y='urn:y'":
				t.Errorf("got attributes %q", in.Stanza.Attrs)
			}
			_ = s.end()
			p.wait()
		})
	}
}

// A request is held until there is something to say, the next one comes, or its time is
// over.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("wait='60' hold='1'")
		first := c.send("", "")
		time.Sleep(59 * time.Second)
		if !first.waits() {
			t.Error("answered too early")
		}
		time.Sleep(time.Second)
		first.wait().is(t, empty)

		second := c.send("", "")
		if err := s.Write(batch(message, message)); err != nil {
			t.Error(err)
		}
		second.wait().is(t, withBody(message+message))

		third := c.send("", "")
		time.Sleep(3 * time.Second)
		fourth := c.send("", message)
		third.wait().is(t, empty)
		if !fourth.waits() {
			t.Error("the last request was answered")
		}
		_ = s.end()
		fourth.wait().is(t, strings.Replace(empty, "/>", " type='terminate'/>", 1))
	})
}

// A client that stays away is gone: its session ends like a connection that is lost, and
// what is being written was not delivered.
func TestInactivity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		began := time.Now()
		go func() {
			if err := s.Write(batch(message)); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("Write: got %v, want io.ErrUnexpectedEOF", err)
			}
		}()
		if _, err := s.Read(); !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, new(*stanza.StreamError)) {
			t.Errorf("Read: got %v, want io.ErrUnexpectedEOF", err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %v, want 30 s", took)
		}
		_ = s.end()
		c.ask("", "").ends(t, "item-not-found")
	})
}

// A request whose client has hung up counts as none.
func TestHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		p := c.send("", "")
		synctest.Wait()
		p.hangUp()
		began := time.Now()
		if _, err := s.Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("Read: got %v, want io.ErrUnexpectedEOF", err)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %v, want 30 s", took)
		}
		_ = s.end()
	})
}

// A session whose client ends it.
// See XEP-0124, section 13.
func TestTerminate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		held := c.send("", "")
		synctest.Wait()
		last := c.send("type='terminate'", "<presence type='unavailable'/>")
		if in, err := s.Read(); err != nil || in.Stanza.Type != "unavailable" {
			t.Errorf("got %+v, %v, want the presence", in, err)
		}
		if _, err := s.Read(); err != io.EOF {
			t.Errorf("got %v, want io.EOF", err)
		}
		if !held.waits() || !last.waits() {
			t.Error("the client was answered before the session has ended")
		}
		if err := s.end(); err != nil {
			t.Errorf("Close: got %v", err)
		}
		held.wait().is(t, "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate'/>")
		last.wait().is(t, empty)
		c.ask("", "").ends(t, "item-not-found")
	})
}

// The end of a stream, as the client hears of it.
// See XEP-0206, section 6.
func TestClose(t *testing.T) {
	const failed = "<body xmlns='http://jabber.org/protocol/httpbind' xmlns:stream='http://etherx.jabber.org/streams' type='terminate' condition='remote-stream-error'>" +
		"<stream:error xmlns:stream='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></body>"
	conflict := &stanza.StreamError{Condition: stanza.StreamConflict}
	for _, c := range []struct {
		name   string
		held   bool
		poll   time.Duration // when the client comes
		reason *stanza.StreamError
		want   string
		err    error
		took   time.Duration
	}{
		{"error", true, 0, conflict, failed, nil, 0},
		{"in order", true, 0, nil, strings.Replace(empty, "/>", " type='terminate'/>", 1), nil, 0},
		{"between two requests", false, 900 * time.Millisecond, conflict, failed, nil, 900 * time.Millisecond},
		{"too late", false, 1100 * time.Millisecond, conflict, "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate' condition='item-not-found'/>", os.ErrDeadlineExceeded, time.Second},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			var p *pending
			if c.held {
				p = x.send("", "")
				synctest.Wait()
			}
			began := time.Now()
			closed := make(chan error, 1)
			go func() { closed <- s.Close(c.reason) }()
			if !c.held {
				time.Sleep(c.poll)
				p = x.send("", "")
			}
			p.wait().is(t, c.want)
			if err := <-closed; err != c.err {
				t.Errorf("Close: got %v, want %v", err, c.err)
			}
			if took := time.Since(began); c.poll < time.Second && took != c.took {
				t.Errorf("it took %v, want %v", took, c.took)
			}
			if err := s.Write(batch(message)); err == nil {
				t.Error("Write after Close: got no error")
			}
			if _, err := s.Read(); err == nil {
				t.Error("Read after Close: got no error")
			}
			if err := s.Close(nil); err != c.err {
				t.Errorf("second Close: got %v, want %v", err, c.err)
			}
			s.over <- nil
		})
	}
}

// A stream that is refused at once.
func TestRefused(t *testing.T) {
	for _, c := range []struct {
		condition stanza.StreamCondition
		want      string
	}{
		{stanza.StreamHostUnknown, "condition='host-unknown'"},
		{stanza.StreamUnsupportedVersion, "<unsupported-version "},
	} {
		bubble(t, string(c.condition), func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			p := r.start(creation("ver='1.6'"))
			s := <-r.streams
			if _, err := s.Open(); err != nil {
				t.Error(err)
			}
			if err := s.Header(stanza.Header{ID: "x"}, stanza.Batch{}); err != nil {
				t.Error(err)
			}
			if err := s.Close(&stanza.StreamError{Condition: c.condition}); err != nil {
				t.Error(err)
			}
			s.over <- nil
			a := p.wait()
			a.has(t, " type='terminate'", c.want)
			if strings.Contains(a.text, "sid=") {
				t.Errorf("got %q, want no session", a.text)
			}
		})
	}
}

// What is written after the client's end goes with the answer to that.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		p := c.send("type='terminate'", "")
		if _, err := s.Read(); err != io.EOF {
			t.Errorf("got %v, want io.EOF", err)
		}
		if err := s.Write(batch(message)); err != nil {
			t.Error(err)
		}
		p.wait().is(t, "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate'>"+message+"</body>")
		c.ask("", "").ends(t, "item-not-found")
		if err := s.end(); err != nil {
			t.Errorf("Close: got %v", err)
		}
	})
}

// A page that is left ends its session and does not wait for the answer.
func TestTerminateAndGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("")
		p := c.send("type='terminate'", "<presence type='unavailable'/>")
		synctest.Wait()
		p.hangUp()
		began := time.Now()
		if in, err := s.Read(); err != nil || in.Stanza == nil {
			t.Errorf("got %+v, %v, want the presence", in, err)
		}
		if _, err := s.Read(); err != io.EOF {
			t.Errorf("got %v, want io.EOF", err)
		}
		if err := s.Write(batch(message)); err == nil {
			t.Error("Write: got no error, and nobody is there")
		}
		_ = s.end()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v, want some 1 s", took)
		}
	})
}

// Whoever serves the stream and does not close it loses it, and so does one who panics.
func TestNotClosed(t *testing.T) {
	for _, panics := range []bool{false, true} {
		bubble(t, map[bool]string{false: "returns", true: "panics"}[panics], func(t *testing.T) {
			h := bosh.New(bosh.Host{Serve: func(_ context.Context, s stanza.Transport) error {
				_, _ = s.Open()
				_ = s.Header(stanza.Header{}, batch("<f/>"))
				_, _ = s.Read()
				if panics {
					panic("ouch")
				}
				return errTest
			}})
			r := &rig{t: t, handler: h}
			defer r.end()
			c := &client{r, r.post(creation("ver='1.6'")).attributes()["sid"], ridBefore}
			c.ask("", message).ends(t, "internal-server-error")
			c.ask("", message).ends(t, "item-not-found")
		})
	}
}

// Multiple streams are refused as the standard wants: what asks for one asks for nothing.
// See XEP-0124, section 16.3.
func TestOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, bosh.Defaults())
		defer r.end()
		c, s := r.open("wait='5'")
		c.ask("to='b.test' xml:lang='en'", "").is(t, empty)
		p := c.send("stream='other'", message)
		if in, err := s.Read(); err != nil || in.Stanza == nil {
			t.Errorf("got %+v, %v, want the message", in, err)
		}
		p.wait().is(t, empty)
		_ = s.end()
	})
}

// Who ends a session is told so when what it has sent was read, or that takes too long.
func TestTerminateAfterRead(t *testing.T) {
	for _, reads := range []bool{true, false} {
		bubble(t, fmt.Sprintf("reads %t", reads), func(t *testing.T) {
			r := newRig(t, bosh.Defaults())
			defer r.end()
			x, s := r.open("")
			began := time.Now()
			p := x.send("type='terminate'", message)
			go func() { _ = s.Write(batch(message)) }()
			for want := range 2 {
				if synctest.Wait(); !p.waits() {
					t.Errorf("answered after %d reads", want)
				}
				if reads {
					_, _ = s.Read()
				}
			}
			p.wait().is(t, strings.Replace(withBody(message), "<body xmlns='http://jabber.org/protocol/httpbind'", "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate'", 1))
			if took, want := time.Since(began), map[bool]time.Duration{false: time.Second}[reads]; took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
			_ = s.end()
		})
	}
}
