package bosh_test

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// wantDeclared wants that the wrapper itself declares the prefix stream.
// See XEP-0206, section 2.
func (a *xepAnswer) wantDeclared() {
	a.t.Helper()
	a.wantWrapper()
	if got := a.attr("xmlns:stream"); got != xepNSStreams {
		a.t.Errorf("got %v, want xmlns:stream=%q at the wrapper", a, xepNSStreams)
	}
}

const xepUnknownIQ = "<iq xmlns='jabber:client' type='get' id='q'><query xmlns='urn:nobody:knows'/></iq>"

// Sessions of XMPP.
// See XEP-0206, sections 2 to 4.
var xepXMPPSessions = []xepRow{
	{"4 the version comes with the features", func(r *xepRig) {
		s := r.create(nil)
		for range 3 {
			if s.seen.child(xepNSStreams, "features") != nil {
				break
			}
			s.created = s.send(nil, "").answer().wantOK()
			s.seen = s.created.body
		}
		s.created.wantDeclared()
		if got := s.created.attr("xmpp:version"); got != "1.0" {
			r.t.Errorf("got xmpp:version=%q, want 1.0", got)
		}
	}},
	{"4 restartlogic", func(r *xepRig) {
		if got := r.create(nil).created.attr("xmpp:restartlogic"); got != "true" && got != "1" {
			r.t.Errorf("got xmpp:restartlogic=%q, want true", got)
		}
	}},
	{"4 features before the login have mechanisms", func(r *xepRig) {
		f := r.create(nil).find(xepNSStreams, "features")
		if f.child(xepNSSASL, "mechanisms") == nil {
			r.t.Errorf("got features %v, want mechanisms", f)
		}
	}},
	{"4 neither TLS nor compression in the stream", func(r *xepRig) {
		f := r.create(nil).find(xepNSStreams, "features")
		if f.child("urn:ietf:params:xml:ns:xmpp-tls", "starttls") != nil || f.child("http://jabber.org/features/compress", "compression") != nil {
			r.t.Errorf("got features %v", f)
		}
	}},
	{"3 another prefix", func(r *xepRig) {
		body := r.creation(xepAttrs{"xmpp:version": xepAbsent, "b:version": "1.0", "xmlns:b": xepNSXBOSH})
		r.session(r.post("", body).answer()).find(xepNSStreams, "features")
	}},
	{"3 a version of another namespace is none", func(r *xepRig) {
		r.session(r.post("", r.creation(xepAttrs{"version": "9.9"})).answer()).find(xepNSStreams, "features")
	}},
	{"3 a version that nobody knows", func(r *xepRig) {
		for _, version := range []string{"9.9", "x", "", "-1"} {
			if a := r.initiate(xepAttrs{"xmpp:version": version}); a.err != nil || a.status >= 500 {
				r.t.Errorf("version %q: got %v, want an answer", version, a)
			}
		}
	}},
	{"3 without a version", func(r *xepRig) {
		if a := r.initiate(xepAttrs{"xmpp:version": xepAbsent}); a.err != nil || a.status >= 500 {
			r.t.Errorf("got %v, want an answer", a)
		}
	}},
	{"3 from is no proof", func(r *xepRig) {
		s := r.create(xepAttrs{"from": "ana@" + r.domain})
		s.find(xepNSStreams, "features")
		s.authenticate("bo")
		s.bind(xepBindIQ)
		if !strings.HasPrefix(s.jid, "bo@") {
			r.t.Errorf("got %q, want bo", s.jid)
		}
	}},
}

func TestXEP0206Sessions(t *testing.T)         { xepTables(t, false, xepXMPPSessions) }
func TestXEP0206SessionsLoopback(t *testing.T) { xepTables(t, true, xepXMPPSessions) }

// Logging in, and the restart that follows.
// See XEP-0206, section 5.
var xepLogins = []xepRow{
	{"5 a login", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		s.ask(nil, xepPlain("ana", "anchor"), xepNSSASL, "success")
		f := s.ask(xepAttrs{"xmpp:restart": "true", "to": r.domain, "xml:lang": "en"}, "", xepNSStreams, "features")
		if f.child(xepNSSession, "bind") == nil || f.child(xepNSSASL, "mechanisms") != nil {
			r.t.Errorf("got features %v, want bind and no mechanisms", f)
		}
		s.bind(xepBindIQ)
		if !strings.HasPrefix(s.jid, "ana@"+r.domain+"/") {
			r.t.Errorf("got jid %q", s.jid)
		}
	}},
	{"2 features after a restart declare their prefix", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		s.ask(nil, xepPlain("ana", "anchor"), xepNSSASL, "success")
		a := s.send(xepAttrs{"xmpp:restart": "true"}, "").answer()
		if a.body.child(xepNSStreams, "features") == nil {
			a = s.send(nil, "").answer()
		}
		a.wantDeclared()
	}},
	{"5 restart is a boolean", func(r *xepRig) {
		for _, value := range []string{"true", "1"} {
			s := r.create(nil)
			s.find(xepNSStreams, "features")
			s.ask(nil, xepPlain("ana", "anchor"), xepNSSASL, "success")
			s.ask(xepAttrs{"xmpp:restart": value}, "", xepNSStreams, "features")
		}
	}},
	{"5 restart with another prefix", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		s.ask(nil, xepPlain("ana", "anchor"), xepNSSASL, "success")
		s.ask(xepAttrs{"b:restart": "true", "xmlns:b": xepNSXBOSH}, "", xepNSStreams, "features")
	}},
	{"5 restart that is false is none", func(r *xepRig) {
		for _, value := range []string{"false", "0"} {
			s := r.login("ana", nil)
			s.send(xepAttrs{"xmpp:restart": value}, xepMessage(s.jid, "1")).wantTexts("1")
		}
	}},
	{"5 payloads of a restart are ignored", func(r *xepRig) {
		bo, s := r.login("bo", nil), r.create(nil)
		s.find(xepNSStreams, "features")
		s.ask(nil, xepPlain("ana", "anchor"), xepNSSASL, "success")
		s.ask(xepAttrs{"xmpp:restart": "true", "to": r.domain}, xepMessage(bo.jid, "never"), xepNSStreams, "features")
		s.bind(xepBindIQ)
		bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
	}},
	{"5 restart while a request is held", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		s.ask(nil, xepPlain("ana", "anchor"), xepNSSASL, "success")
		held := s.send(nil, "")
		r.settle()
		next := s.send(xepAttrs{"xmpp:restart": "true", "to": r.domain}, "")
		s.seen = held.answer().wantOK().body
		if s.seen.child(xepNSStreams, "features") == nil {
			s.seen = next.answer().wantOK().body
		}
		s.find(xepNSStreams, "features")
	}},
	{"5 a wrong password, and then the right one", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		s.ask(nil, xepPlain("ana", "wrong"), xepNSSASL, "failure")
		s.prove("ana")
		s.bind(xepBindIQ)
	}},
	{"5 a stanza before the login", func(r *xepRig) {
		bo, s := r.login("bo", nil), r.create(nil)
		s.find(xepNSStreams, "features")
		a := s.send(nil, xepMessage(bo.jid, "never")).answer()
		if a.err != nil || a.status >= 500 {
			r.t.Errorf("got %v, want an answer", a)
		}
		bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
	}},
	{"5 restart to another domain", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		s.ask(nil, xepPlain("ana", "anchor"), xepNSSASL, "success")
		if a := s.send(xepAttrs{"xmpp:restart": "true", "to": "unknown.example"}, "").answer(); a.err != nil || a.status >= 500 {
			r.t.Errorf("got %v, want an answer", a)
		} else if a.isError() {
			a.wantStreamError("host-unknown", "not-authorized", "invalid-from")
		}
	}},
	{"5 an answer to a request to the server", func(r *xepRig) {
		s := r.login("ana", nil)
		if e := s.ask(nil, xepUnknownIQ, xepNSClient, "iq").child(xepNSClient, "error"); e == nil {
			r.t.Error("got no error for a request that nobody knows")
		}
	}},
}

func TestXEP0206Logins(t *testing.T)         { xepTables(t, false, xepLogins) }
func TestXEP0206LoginsLoopback(t *testing.T) { xepTables(t, true, xepLogins) }

// wantStreamError wants the end of a stream with one of some conditions.
// See XEP-0206, section 6.
func (a *xepAnswer) wantStreamError(conditions ...string) {
	a.t.Helper()
	a.wantTerminate("remote-stream-error")
	a.wantDeclared()
	e := a.body.child(xepNSStreams, "error")
	if e == nil || a.body.Children[len(a.body.Children)-1] != e {
		a.t.Fatalf("got %v, want a <stream:error/> at the end", a)
	}
	for _, c := range conditions {
		if e.child("urn:ietf:params:xml:ns:xmpp-streams", c) != nil {
			return
		}
	}
	if len(conditions) > 0 {
		a.t.Errorf("got %v, want one of %q", a, conditions)
	}
}

// What becomes of streams that end.
// See XEP-0206, section 6.
var xepStreamErrors = []xepRow{
	{"6 a request that is held learns of the stream error", func(r *xepRig) {
		first := r.create(nil)
		first.authenticate("ana")
		const bind = "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='" + xepNSSession + "'><resource>conflict-%s</resource></bind></iq>"
		iq := fmt.Sprintf(bind, first.sid)
		first.bind(iq)
		held := first.send(nil, "").wantHeld()
		second := r.create(nil)
		second.authenticate("ana")
		second.bind(iq)
		if second.jid != first.jid {
			r.t.Skip("it gives another resource")
		}
		held.answer().wantStreamError("conflict")
		first.wantGone()
		second.send(nil, xepMessage(second.jid, "1")).wantTexts("1")
	}},
	{"6 a stream error waits for a request", func(r *xepRig) {
		first := r.create(nil)
		first.authenticate("ana")
		iq := "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='" + xepNSSession + "'><resource>" + first.sid + "</resource></bind></iq>"
		first.bind(iq)
		second := r.create(nil)
		second.authenticate("ana")
		second.bind(iq)
		a := first.send(nil, "").wantNow()
		if a.attr("condition") == "item-not-found" {
			return // it has forgotten the session
		}
		a.wantStreamError("conflict")
	}},
	{"6 stanzas come before the stream error", func(r *xepRig) {
		s := r.login("ana", nil)
		a := s.send(nil, xepMessage(s.jid, "1")+"<nonsense xmlns='jabber:client'/>").answer()
		if !a.isError() {
			a = s.send(nil, "").answer()
		}
		a.wantStreamError()
		s.wantGone()
	}},
	{"6 a stream error of the client ends the session", func(r *xepRig) {
		s := r.login("ana", nil)
		a := s.send(nil, "<error xmlns='"+xepNSStreams+"'><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>").answer()
		if a.err != nil || a.status >= 500 {
			r.t.Errorf("got %v, want an answer", a)
		}
	}},
	{"2 stanzas of the namespace of servers are refused", func(r *xepRig) {
		bo, s := r.login("bo", nil), r.login("ana", nil)
		a := s.send(nil, strings.Replace(xepMessage(bo.jid, "never"), xepNSClient, "jabber:server", 1)).answer()
		if a.err != nil || a.status >= 500 {
			r.t.Errorf("got %v, want an answer", a)
		}
		bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
	}},
}

func TestXEP0206StreamErrors(t *testing.T) { xepTables(t, false, xepStreamErrors) }

// Namespaces of stanzas.
// See XEP-0206, section 2.
var xepNamespaces = []xepRow{
	{"2 stanzas are of jabber:client", func(r *xepRig) {
		s := r.login("ana", nil)
		a := s.send(nil, xepMessage(s.jid, "1")).answer().wantOK()
		if m := a.body.child(xepNSClient, "message"); m == nil || m.child(xepNSClient, "body") == nil {
			r.t.Errorf("got %v, want a message and its body of %s", a, xepNSClient)
		}
	}},
	{"2 stanzas without a namespace", func(r *xepRig) {
		s := r.login("ana", nil)
		s.send(nil, "<message to='"+s.jid+"' type='chat'><body>1</body></message>").wantTexts("1")
	}},
	{"2 binding without a namespace", func(r *xepRig) {
		s := r.create(nil)
		s.authenticate("ana")
		s.bind("<iq type='set' id='b'><bind xmlns='" + xepNSSession + "'/></iq>")
	}},
	{"2 stanzas with a prefix", func(r *xepRig) {
		s := r.login("ana", nil)
		s.send(nil, "<c:message xmlns:c='jabber:client' to='"+s.jid+"' type='chat'><c:body>1</c:body></c:message>").wantPrefixed()
	}},
	{"2 a prefix of the wrapper", func(r *xepRig) {
		s := r.login("ana", nil)
		s.send(xepAttrs{"xmlns:c": "jabber:client"}, "<c:message to='"+s.jid+"' type='chat'><c:body>1</c:body></c:message>").wantPrefixed()
	}},
	{"2 payloads keep prefixes that the wrapper declares", func(r *xepRig) {
		s := r.login("ana", nil)
		a := s.send(xepAttrs{"xmlns:x": "urn:x"}, "<message xmlns='jabber:client' to='"+s.jid+"' type='chat'><body>1</body><x:y x:z='1'/></message>").answer().wantOK()
		m := a.body.child(xepNSClient, "message")
		y := m.child("urn:x", "y")
		if y == nil {
			r.t.Errorf("got %v, want <y/> of urn:x", a)
		}
	}},
	{"2 children of another namespace", func(r *xepRig) {
		s := r.login("ana", nil)
		a := s.send(nil, "<message xmlns='jabber:client' to='"+s.jid+"' type='chat'><body>1</body><a xmlns='urn:a'><b xmlns=''/><c/></a></message>").answer().wantOK()
		e := a.body.child(xepNSClient, "message").child("urn:a", "a")
		if e == nil || e.child("", "b") == nil || e.child("urn:a", "c") == nil {
			r.t.Errorf("got %v, want <a/> and <c/> of urn:a and <b/> of none", a)
		}
	}},
	{"2 attributes are kept", func(r *xepRig) {
		s := r.login("ana", nil)
		a := s.send(nil, "<message xmlns='jabber:client' to='"+s.jid+"' type='chat' id='&lt;&apos;&quot;&amp;' xml:lang='de'><body>1</body></message>").answer().wantOK()
		m := a.body.child(xepNSClient, "message")
		if id, _ := m.attr("id"); id != `<'"&` {
			r.t.Errorf("got id %q", id)
		}
		if from, _ := m.attr("from"); from != s.jid {
			r.t.Errorf("got from %q, want %q", from, s.jid)
		}
	}},
}

func TestXEP0206Namespaces(t *testing.T)         { xepTables(t, false, xepNamespaces) }
func TestXEP0206NamespacesLoopback(t *testing.T) { xepTables(t, true, xepNamespaces) }

// wantPrefixed wants that a message with a prefix is delivered, or the prefix refused.
// See RFC 6120, section 4.9.3.2.
func (c *xepCall) wantPrefixed() {
	c.r.t.Helper()
	if a := c.answer(); a.isError() {
		a.wantStreamError("bad-namespace-prefix")
		return
	}
	c.wantTexts("1")
}

// Stanzas to a client that is no longer there.
// See XEP-0206, section 7.
var xepUnavailable = []xepRow{
	{"7 a message", func(r *xepRig) {
		ana, bo := r.lost()
		ana.wantReturned(bo, "<message xmlns='jabber:client' type='chat' id='lost' to='"+bo.jid+"'><body>1</body></message>", "message")
	}},
	{"7 a request", func(r *xepRig) {
		ana, bo := r.lost()
		ana.wantReturned(bo, "<iq xmlns='jabber:client' type='get' id='lost' to='"+bo.jid+"'><query xmlns='urn:q'/></iq>", "iq")
	}},
	{"7 presence", func(r *xepRig) {
		ana, bo := r.lost()
		for _, a := range ana.outlive(bo, "<presence xmlns='jabber:client' id='lost' to='"+bo.jid+"'/>") {
			a.wantEmpty()
		}
	}},
}

func TestXEP0206Unavailable(t *testing.T) { xepTables(t, false, xepUnavailable) }

// lost makes two sessions. The connection of bo, which is held, breaks.
func (r *xepRig) lost() (ana, bo *xepSession) {
	r.t.Helper()
	ana, bo = r.login("ana", xepAttrs{"wait": "2"}), r.login("bo", xepAttrs{"wait": "2"})
	bo.send(nil, "").wantHeld().hangUp()
	return ana, bo
}

// outlive sends a stanza and stays active until the session of another has ended.
func (s *xepSession) outlive(other *xepSession, stanza string) (answers []*xepAnswer) {
	s.r.t.Helper()
	answers = append(answers, s.send(nil, stanza).answer().wantOK())
	left := other.seconds("inactivity") + other.seconds("wait") + 5*time.Second
	for ; left > 0; left -= 2 * time.Second {
		s.r.sleep(10 * time.Millisecond) // so that the next answer takes its two seconds
		answers = append(answers, s.send(nil, "").answer().wantOK())
	}
	return answers
}

// wantReturned wants an error for a stanza with the id lost.
func (s *xepSession) wantReturned(other *xepSession, stanza, name string) {
	s.r.t.Helper()
	for _, a := range s.outlive(other, stanza) {
		e := a.body.child(xepNSClient, name)
		if e == nil {
			continue
		}
		if kind, _ := e.attr("type"); kind != "error" || e.child(xepNSClient, "error") == nil {
			s.r.t.Errorf("got %v, want an error", a)
		}
		return
	}
	s.r.t.Errorf("the %s was lost, want an error", name)
}
