package websocket_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
)

// What the features say. See RFC 7395, section 3.9.
func TestFeatures(t *testing.T) {
	s := newSite(t)
	t.Run("3.9 no STARTTLS", func(t *testing.T) {
		w := s.upgraded(t)
		_, before := w.open()
		if before.has("starttls") || strings.Contains(before.raw, "-PLUS") || before.has("compression") {
			t.Errorf("got %s, want no TLS, channel binding or compression", before.raw)
		}
		w.say("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
		f := w.next()
		if n := w.parse(f.payload); n.name.Local != "failure" && n.name.Local != "error" {
			t.Errorf("got %s, want a failure or a stream error", n.raw)
		}
	})
	t.Run("3.9 the server has TLS for others", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.xmpp.StartTLS, o.xmpp.StartTLSRequired = true, true })
		w := s.upgraded(t)
		if _, features := w.open(); features.has("starttls") || !features.has("mechanisms") {
			t.Errorf("got %s, want mechanisms and no STARTTLS", features.raw)
		}
	})
	t.Run("3.9 PLAIN is not offered in the clear", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.xmpp.AllowPlainWithoutTLS = false })
		w := s.upgraded(t)
		if _, features := w.open(); strings.Contains(features.raw, ">PLAIN<") || !strings.Contains(features.raw, ">SCRAM-SHA-1<") {
			t.Errorf("got %s, want SCRAM-SHA-1 and not PLAIN", features.raw)
		}
	})
}

// With TLS, which is below HTTP. See RFC 7395, section 3.9.
func TestSecure(t *testing.T) {
	cert, trusted := listentest.Certificate(t, "a.test")
	s := newSite(t, func(o *terms) {
		o.tls = &tls.Config{Certificates: []tls.Certificate{cert}}
		o.xmpp.AllowPlainWithoutTLS, o.ws.Compression = false, true
	})
	s.trusted = trusted
	t.Run("3.9 PLAIN, no STARTTLS, no channel binding", func(t *testing.T) {
		w := s.upgraded(t)
		if _, features := w.open(); features.has("starttls") || strings.Contains(features.raw, "-PLUS") || !strings.Contains(features.raw, ">PLAIN<") {
			t.Errorf("got %s, want PLAIN, no TLS and no channel binding", features.raw)
		}
	})
	t.Run("3.6 a session", func(t *testing.T) {
		w := s.login(t, "ana")
		w.wantAlive()
		w.say("<close xmlns='" + nsFraming + "'/>")
		w.want(nsFraming, "close")
		w.wantClose(1000)
	})
	t.Run("RFC 6455, 7.1.1 the end of TLS is told", func(t *testing.T) {
		w := s.compressing(t, "ana")
		w.send(frame{op: 3})
		w.wantFailure(1002)
	})
}

// The login, as on TCP. See RFC 7395, section 6 (4), and RFC 6120, section 6.
func TestLogin(t *testing.T) {
	s := newSite(t)
	for _, name := range []string{"SHA-1", "SHA-256"} {
		t.Run("SCRAM-"+name, func(t *testing.T) {
			w := s.opened(t)
			w.scram(name, "ana", "anchor")
			w.open()
			w.bind()
			w.wantAlive()
		})
	}
	t.Run("PLAIN", func(t *testing.T) { s.login(t, "ana").wantAlive() })
	for _, row := range []struct{ name, text, condition string }{
		{"a wrong password", plain("ana", "wrong"), "not-authorized"},
		{"no base64", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>???</auth>", "incorrect-encoding"},
		{"no message of the mechanism", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>YW5h</auth>", "malformed-request"},
		{"a mechanism that is not there", "<auth xmlns='" + nsSASL + "' mechanism='SKEY'/>", "invalid-mechanism"},
		{"STARTTLS-bound SCRAM", "<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1-PLUS'>cD10bHMtdW5pcXVlLCxuPWFuYSxyPXg=</auth>", "invalid-mechanism"},
	} {
		t.Run("6.5 "+row.name, func(t *testing.T) {
			w := s.opened(t)
			w.say(row.text)
			if n := w.want(nsSASL, "failure"); !n.has(row.condition) {
				t.Errorf("got %s, want %s", n.raw, row.condition)
			}
			w.scram("SHA-1", "ana", "anchor") // and once more
		})
	}
	t.Run("6.4.4 abort", func(t *testing.T) {
		w := s.opened(t)
		w.say("<auth xmlns='" + nsSASL + "' mechanism='SCRAM-SHA-1'>" + base64.StdEncoding.EncodeToString([]byte("n,,n=ana,r=x")) + "</auth>")
		w.want(nsSASL, "challenge")
		w.say("<abort xmlns='" + nsSASL + "'/>")
		if n := w.want(nsSASL, "failure"); !n.has("aborted") {
			t.Errorf("got %s, want aborted", n.raw)
		}
	})
	t.Run("4.9.3.12 stanzas before the login", func(t *testing.T) {
		w := s.opened(t)
		w.say(message("bo@a.test", "1"))
		w.wantEnd("not-authorized")
	})
	t.Run("4.3.5 stanzas before the binding", func(t *testing.T) {
		w := s.authenticated(t, "ana")
		w.say(message("bo@a.test", "1"))
		w.wantEnd("not-authorized")
	})
}

// Sessions talk to one another; each element travels by itself and in order.
func TestMessages(t *testing.T) {
	s := newSite(t)
	ana, bo := s.login(t, "ana"), s.login(t, "bo")
	t.Run("3.3.3 each stanza a message", func(t *testing.T) {
		const n = 500
		var fs []frame
		for i := range n {
			fs = append(fs, text(message(bo.jid, fmt.Sprint(i))))
		}
		ana.send(fs...)
		for i := range n {
			bo.wantMessage(fmt.Sprint(i))
		}
	})
	t.Run("3.3.3 large stanzas", func(t *testing.T) {
		for _, n := range []int{1000, 60000, 65535, 65536, 250000} {
			m := strings.Replace(message(bo.jid, "1"), "text", strings.Repeat("ü", n/2), 1)
			ana.say(m)
			if got := len(bo.wantMessage("1").child("body").text); got != n/2*2 {
				t.Errorf("got a body of %d bytes, want %d", got, n/2*2)
			}
		}
	})
	t.Run("3.3.3 the payload keeps its namespaces", func(t *testing.T) {
		ana.say("<message xmlns='jabber:client' xmlns:p='urn:p' to='" + bo.jid + "' id='1' p:q='1'><p:a xmlns='urn:d'><b/><c xmlns=''/></p:a></message>")
		n := bo.wantMessage("1")
		a := n.child("a")
		if a.name.Space != "urn:p" || a.child("b").name.Space != "urn:d" {
			t.Errorf("got %s", n.raw)
		}
	})
	t.Run("3.3.3 presence and IQ", func(t *testing.T) {
		ana.say("<presence xmlns='jabber:client' to='" + bo.jid + "'><show>away</show></presence>")
		bo.want(nsClient, "presence")
		ana.say("<iq xmlns='jabber:client' type='get' id='q' to='" + bo.jid + "'><ping xmlns='urn:xmpp:ping'/></iq>")
		if n := bo.want(nsClient, "iq"); !n.has("ping") {
			t.Errorf("got %s, want a ping (RFC 7395, section 3.8)", n.raw)
		}
		bo.say("<iq xmlns='jabber:client' type='result' id='q' to='" + ana.jid + "'/>")
		ana.want(nsClient, "iq")
	})
	t.Run("3.3.3 errors of stanzas", func(t *testing.T) {
		ana.say(message("ghost@a.test/none", "1"))
		if n := ana.wantMessage("1"); n.attr("type") != "error" || !n.has("service-unavailable") {
			t.Errorf("got %s, want service-unavailable", n.raw)
		}
	})
}

// enable switches stream management on and returns the id of the session.
func (w *wire) enable() string {
	w.t.Helper()
	w.say("<enable xmlns='" + nsSM + "' resume='true'/>")
	return w.want(nsSM, "enabled").attr("id")
}

// resume takes up a session after a new login.
func (s *site) resume(t testing.TB, id string, h int) *wire {
	t.Helper()
	w := s.authenticated(t, "ana")
	w.say(fmt.Sprintf("<resume xmlns='%s' previd='%s' h='%d'/>", nsSM, id, h))
	return w
}

// Sessions outlive their connections. See RFC 7395, sections 3.6 and 3.10, and XEP-0198.
func TestStreamManagement(t *testing.T) {
	s := newSite(t)
	bo := s.login(t, "bo")
	t.Run("3.10 acknowledgements", func(t *testing.T) {
		w := s.login(t, "ana")
		w.enable()
		w.send(text(message(bo.jid, "1")), text("<r xmlns='"+nsSM+"'/>"))
		if n := w.want(nsSM, "a"); n.attr("h") != "1" {
			t.Errorf("got %s, want h 1", n.raw)
		}
		bo.wantMessage("1")
	})
	for _, row := range []struct {
		name  string
		leave func(w *wire)
	}{
		{"3.6 broken", func(w *wire) { _ = w.tcp.SetLinger(0); _ = w.c.Close() }},
		{"3.6 closed without a close frame", func(w *wire) { _ = w.c.Close() }},
		{"3.6 closed without <close/>", func(w *wire) { w.send(goodbye(1001, "")); w.checkClose(w.next(), 1001); w.wantEOF() }},
		{"3.6 closed within a message", func(w *wire) {
			w.send(frame{op: opText, more: true, payload: "<message "})
			_ = w.c.Close()
		}},
		{"3.10 still there", func(*wire) {}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.login(t, "ana")
			id := w.enable()
			row.leave(w)
			bo.t = t
			bo.say(message(w.jid, "meanwhile"))
			again := s.resume(t, id, 0)
			if n := again.want(nsSM, "resumed"); n.attr("previd") != id {
				t.Errorf("got %s, want the session %s", n.raw, id)
			}
			again.wantMessage("meanwhile")
			again.jid = w.jid
			again.say("<a xmlns='" + nsSM + "' h='1'/>")
			again.wantResumed()
		})
	}
	t.Run("3.6 not after <close/>", func(t *testing.T) {
		w := s.login(t, "ana")
		id := w.enable()
		w.say("<close xmlns='" + nsFraming + "'/>")
		if w.element().name.Local == "a" {
			w.want(nsFraming, "close")
		}
		w.wantClose()
		again := s.resume(t, id, 0)
		again.want(nsSM, "failed")
		again.bind()
		again.wantAlive()
	})
}

// wantResumed has the session send a message to itself, whatever is acknowledged meanwhile.
func (w *wire) wantResumed() {
	w.t.Helper()
	w.say(message(w.jid, "self"))
	n := w.element()
	for n.name.Space == nsSM {
		n = w.element()
	}
	if n.attr("id") != "self" {
		w.t.Fatalf("got %s, want the message", n.raw)
	}
}

// Pings of the server, which are control frames: no white space.
// See RFC 7395, section 3.8.
func TestKeepalive(t *testing.T) {
	s := newSite(t, func(o *terms) { o.ws.PingInterval, o.ws.Timeout = 100*time.Millisecond, time.Hour })
	t.Run("3.8 who answers stays", func(t *testing.T) {
		w := s.login(t, "ana")
		for range 3 {
			f := w.next()
			if f.op != opPing {
				t.Fatalf("got opcode %d with %q, want a ping", f.op, f.payload)
			}
			w.send(frame{op: opPong, payload: f.payload})
		}
		w.say(message(w.jid, "1"))
		f := w.next()
		for f.op == opPing {
			w.send(frame{op: opPong, payload: f.payload})
			f = w.next()
		}
		if f.op != opText {
			t.Errorf("got opcode %d with %q, want the message", f.op, f.payload)
		}
	})
	t.Run("3.8 who does not is gone", func(t *testing.T) {
		s.login(t, "ana").wantGone()
	})
	t.Run("5 nothing arrives for websocket_timeout", func(t *testing.T) {
		s := newSite(t, func(o *terms) { o.ws.PingInterval, o.ws.Timeout = 0, 200*time.Millisecond })
		s.login(t, "ana").wantGone()
	})
}
