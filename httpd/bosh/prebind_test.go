package bosh_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/acl"
	"github.com/tidewaiter/tidewaiter/c2s"
	"github.com/tidewaiter/tidewaiter/httpd/bosh"
	"github.com/tidewaiter/tidewaiter/listen/host"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// newHarbour returns a handler with c2s and a host on top: sessions begin logged in, and
// anon.test has anonymous users, but a.test has not.
func newHarbour(t *testing.T, log *bytes.Buffer, change func(*c2s.Options)) *rig {
	t.Helper()
	o := host.Defaults()
	o.Hosts = []string{"a.test", "anon.test"}
	o.AuthMethod.Hosts = map[string][]string{"anon.test": {"anonymous"}}
	h, err := host.New(host.Config{Options: o})
	if err != nil {
		t.Fatal(err)
	}
	clients := c2s.New(c2s.Host{
		Domains: h.Local, Router: h.Local, SCRAM: h.Accounts, Password: h.Accounts, Anonymous: h.Accounts, IQ: h.IQ, Features: h, Session: h.Local,
	})
	options := c2s.Defaults()
	change(&options)
	r := &rig{t: t}
	r.handler = bosh.New(bosh.Host{
		Serve: func(ctx context.Context, t stanza.Transport) error { return clients.ServeTransport(ctx, t, options) },
		Log:   slog.New(slog.NewTextHandler(log, nil)),
	})
	p := bosh.Defaults()
	p.Prebind = true
	r.handler.Configure(stanza.PerHost[*bosh.Options]{Value: &p})
	return r
}

// prebind asks for a session of a virtual host.
func prebind(host, attrs, payload string) string {
	return body(ridBefore, "xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' to='"+host+"' "+attrs, payload)
}

// until asks further, as one may who polls, until there is an answer with these pieces.
func (c *client) until(a reply, pieces ...string) {
	c.t.Helper()
	for range 3 {
		if strings.Contains(a.text, pieces[0]) {
			break
		}
		time.Sleep(3 * time.Second)
		a = c.ask("", "")
	}
	a.has(c.t, pieces...)
}

// A client begins logged in, and goes on with presence.
func TestPrebind(t *testing.T) {
	for _, attrs := range []string{"ver='1.11' wait='60' hold='1'", "ver='1.6' wait='0' hold='0'", "from='ana@a.test' ver='1.6' xml:lang='de'", ""} {
		bubble(t, attrs, func(t *testing.T) {
			r := newHarbour(t, new(bytes.Buffer), func(*c2s.Options) {})
			defer r.end()
			var addresses []string
			var clients []*client
			for range 2 {
				a := r.post(prebind("anon.test", attrs, ""))
				told := a.attributes()
				if a.status != 200 || told["sid"] == "" || told["from"] != "anon.test" || told["authid"] == "" || told["xmpp:version"] != "1.0" || !strings.HasSuffix(a.text, "/>") {
					t.Fatalf("got %q, want a session, and no payload", a.text)
				}
				clients, addresses = append(clients, &client{r, told["sid"], ridBefore}), append(addresses, told["jid"])
			}
			for _, jid := range addresses {
				j, err := stanza.ParseJID(jid)
				if err != nil || j.Domain() != "anon.test" || j.Local() == "" || j.Resource() == "" || addresses[0] == addresses[1] {
					t.Errorf("got %q, %v; want addresses of anonymous users", addresses, err)
				}
			}
			clients[0].until(clients[0].ask("", "<presence xmlns='jabber:client'/>"), "<presence ", "from='"+addresses[0]+"'")
			const ping = "<iq type='get' id='p' xmlns='jabber:client'><ping xmlns='urn:xmpp:ping'/></iq>"
			clients[0].until(clients[0].ask("", "<message to='"+addresses[1]+"' type='chat' xmlns='jabber:client'><body>ahoy</body></message>"+ping), "id='p'")
			clients[1].until(clients[1].ask("", ""), "from='"+addresses[0]+"'", "<body>ahoy</body>")
			for _, c := range clients {
				c.ask("type='terminate'", "").has(t, "type='terminate'")
			}
		})
	}
}

// A session that cannot begin logged in does not begin, and the log says why.
func TestPrebindRefused(t *testing.T) {
	for _, c := range []struct {
		name, host string
		change     func(*c2s.Options)
		log        string
	}{
		{"no anonymous users", "a.test", func(*c2s.Options) {}, "set auth_method: anonymous, or prebind: false"},
		{"not let in", "anon.test", func(o *c2s.Options) { o.Access = acl.None }, "there is no resource for it"},
	} {
		bubble(t, c.name, func(t *testing.T) {
			log := new(bytes.Buffer)
			r := newHarbour(t, log, c.change)
			r.post(prebind(c.host, "ver='1.6'", "")).ends(t, "internal-server-error")
			r.post(prebind(c.host, "", "<presence xmlns='jabber:client'/>")).ends(t, "internal-server-error")
			r.end()
			if text := log.String(); strings.Count(text, c.log) != 2 || !strings.Contains(text, "host="+c.host) {
				t.Errorf("the log has %q, want %q", text, c.log)
			}
		})
	}
	bubble(t, "no virtual host", func(t *testing.T) {
		r := newHarbour(t, new(bytes.Buffer), func(*c2s.Options) {})
		defer r.end()
		r.post(prebind("c.test", "ver='1.6'", "")).ends(t, "host-unknown")
	})
}

// bindAll plays c2s up to the answer about the resource.
func bindAll(t *testing.T, s stanza.Transport) (id string) {
	t.Helper()
	h, err := s.Open()
	if err != nil || h.To != "a.test" || h.From != "" {
		t.Fatalf("got %+v, %v; want a header to a.test", h, err)
	}
	features := batch("<stream:features xmlns:stream='http://etherx.jabber.org/streams'/>")
	if err := s.Header(stanza.Header{From: h.To, ID: "one", Version: "1.0"}, features); err != nil {
		t.Fatal(err)
	}
	in, err := s.Read()
	if err != nil || in.Nonza == nil || in.Nonza.Name.Local != "auth" || in.Nonza.Attr("mechanism") != "ANONYMOUS" {
		t.Fatalf("got %+v, %v; want <auth/>", in, err)
	}
	if err := s.Write(batch("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")); err != nil {
		t.Fatal(err)
	}
	again, err := s.Open()
	if err != nil || again != h {
		t.Fatalf("got %+v, %v; want the header again", again, err)
	}
	if err := s.Header(stanza.Header{From: h.To, ID: "two", Version: "1.0"}, features); err != nil {
		t.Fatal(err)
	}
	in, err = s.Read()
	if err != nil || in.Stanza == nil || in.Stanza.Child.Local != "bind" || in.Stanza.Type != stanza.TypeSet {
		t.Fatalf("got %+v, %v; want a request for a resource", in, err)
	}
	return in.Stanza.ID
}

func bound(id, inner string) string {
	return "<iq xmlns='jabber:client' type='result' id='" + id + "'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" + inner + "</bind></iq>"
}

func newPrebinding(t *testing.T) *rig {
	o := bosh.Defaults()
	o.Prebind = true
	return newRig(t, o)
}

// The answer about the session waits for the resource, for as long as the server does,
// and has what comes with that. What the client sends with its request comes after.
func TestPrebindWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newPrebinding(t)
		defer r.end()
		p := r.start(prebind("a.test", "ver='1.6' wait='1' from='ana@b.test'", message))
		s := <-r.streams
		id := bindAll(t, s)
		time.Sleep(20 * time.Second)
		if !p.waits() {
			p.wait().has(t, "no answer yet")
		}
		if err := s.Write(batch(bound(id, "<jid>x&apos;@a.test/y</jid>"), message)); err != nil {
			t.Fatal(err)
		}
		a := p.wait()
		a.has(t, message)
		if told := a.attributes(); told["jid"] != "x&apos;@a.test/y" && told["jid"] != "x&#39;@a.test/y" || told["authid"] != "two" || strings.Contains(a.text, "<iq") || strings.Contains(a.text, "features>") {
			t.Errorf("got %q, want the address, the last stream and nothing of the login", a.text)
		}
		if in, err := s.Read(); err != nil || in.Stanza == nil || in.Stanza.Kind != stanza.Message {
			t.Errorf("got %+v, %v; want the message", in, err)
		}
		_ = s.end()
	})
}

// Whatever else comes of it, the client hears that there is no session.
func TestPrebindEnds(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer func(s *stream, id string) error
		want   string
	}{
		{"refused", func(s *stream, id string) error {
			return s.Write(batch("<iq xmlns='jabber:client' type='error' id='" + id + "'/>"))
		}, "condition='internal-server-error'"},
		{"no address", func(s *stream, id string) error { return s.Write(batch(bound(id, ""))) }, "condition='internal-server-error'"},
		{"no XML", func(s *stream, _ string) error { return s.Write(batch("<x")) }, "condition='internal-server-error'"},
		{"failure without a reason", func(s *stream, _ string) error {
			return s.Write(batch("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"))
		}, "condition='internal-server-error'"},
		{"out of time", func(s *stream, _ string) error {
			_ = s.Close(&stanza.StreamError{Condition: stanza.StreamConnectionTimeout})
			return errTest
		}, "<connection-timeout "},
	} {
		bubble(t, c.name, func(t *testing.T) {
			r := newPrebinding(t)
			defer r.end()
			p := r.start(prebind("a.test", "ver='1.6'", ""))
			s := <-r.streams
			if err := c.answer(s, bindAll(t, s)); err == nil {
				t.Error("got no error")
			}
			p.wait().has(t, "type='terminate'", c.want)
			if _, err := s.Read(); err == nil {
				t.Error("the session has not ended")
			}
			_ = s.end()
		})
	}
	bubble(t, "nobody waits", func(t *testing.T) {
		r := newPrebinding(t)
		defer r.end()
		p := r.start(prebind("a.test", "ver='1.6'", ""))
		s := <-r.streams
		id := bindAll(t, s)
		p.hangUp()
		p.wait()
		if err := s.Write(batch(bound(id, "<jid>x@a.test/y</jid>"))); err != nil {
			t.Error(err)
		}
		began := time.Now()
		if _, err := s.Read(); err == nil || time.Since(began) > 30*time.Second {
			t.Errorf("got %v after %v, want the end after 30 s", err, time.Since(began))
		}
		_ = s.end()
	})
}

// A session that has begun logged in counts as one that has not until its client uses it.
func TestPrebindYoung(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := bosh.New(bosh.Host{Serve: func(ctx context.Context, s stanza.Transport) error {
			id := bindAll(t, s)
			if err := s.Write(batch(bound(id, "<jid>x@a.test/y</jid>"))); err != nil {
				t.Error(err)
			}
			<-ctx.Done()
			return s.Close(nil)
		}})
		o := bosh.Defaults()
		o.Prebind = true
		h.Configure(stanza.PerHost[*bosh.Options]{Value: &o})
		r := &rig{t: t, handler: h}
		defer r.end()
		var c *client
		for range 1000 {
			a := r.post(prebind("a.test", "ver='1.6'", ""))
			a.has(t, "jid='x@a.test/y'")
			c = &client{r, a.attributes()["sid"], ridBefore}
		}
		r.post(prebind("a.test", "ver='1.6'", "")).ends(t, "policy-violation")
		p := c.send("", message)
		synctest.Wait()
		r.post(prebind("a.test", "ver='1.6'", "")).has(t, "jid='x@a.test/y'")
		r.post(prebind("a.test", "ver='1.6'", "")).ends(t, "policy-violation")
		p.hangUp()
	})
}
