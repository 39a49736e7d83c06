package websocket_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// opening is a stream header with attributes.
func opening(attrs string) string {
	return "<open xmlns='" + nsFraming + "' " + attrs + "/>"
}

// The subprotocol is agreed upon in the handshake, or there is no connection.
// See RFC 7395, section 3.1, and RFC 6455, section 4.2.2 (/subprotocol/).
func TestSubprotocol(t *testing.T) {
	s := newSite(t)
	for _, row := range []struct{ name, offer, want, answer string }{
		{"3.1 xmpp", "xmpp", switches, "xmpp"},
		{"3.1 xmpp in the list", "mqtt, xmpp, soap", switches, "xmpp"},
		{"3.1 none", "", refuses, ""},
		{"3.1 others", "chat, mqtt", refuses, ""},
		{"3.1 a longer name", "xmpp-framing", refuses, ""},
		{"3.1 a name with a space", "xmpp chat", refuses, ""},
		{"3.1 a quoted name", `"xmpp"`, refuses, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.dial(t)
			got := w.wantAnswer(request("Sec-WebSocket-Protocol:"+row.offer), row.want).Header.Values("Sec-WebSocket-Protocol")
			if strings.Join(got, ", ") != row.answer {
				t.Errorf("got the subprotocol %q, want %q", got, row.answer)
			}
		})
	}
	t.Run("RFC 6455, 4.2.2 what is chosen is as the client wrote it", func(t *testing.T) {
		w := s.dial(t)
		a := w.request(request("Sec-WebSocket-Protocol: XMPP"))
		if got := a.Header.Get("Sec-WebSocket-Protocol"); a.StatusCode == 101 && got != "XMPP" {
			t.Errorf("got the subprotocol %q, which was not offered", got)
		}
	})
}

// The attributes of headers. See RFC 7395, sections 3.3.1 and 3.4, and RFC 6120, section 4.7.
func TestOpen(t *testing.T) {
	s := newSite(t)
	const to = "to='a.test' version='1.0' "
	for _, row := range []struct{ name, open string }{
		{"3.4 the example", greeting},
		{"3.4 with double quotes", strings.ReplaceAll(greeting, "'", `"`)},
		{"3.3.3 with an end tag", "<open xmlns='" + nsFraming + "' to='a.test' version='1.0'></open>"},
		{"3.3.3 with a prefix", "<f:open xmlns:f='" + nsFraming + "' to='a.test' version='1.0'/>"},
		{"3.3.3 with white space in the tag", "<open\n\txmlns = '" + nsFraming + "'\r\n to='a.test' version='1.0' />"},
		{"3.3.3 with white space behind it", greeting + " \n"},
		{"3.3.3 with an XML declaration, which is not forbidden", "<?xml version='1.0'?>" + greeting},
		{"3.3.3 with an XML declaration of the encoding", "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n" + greeting},
		{"RFC 6120, 4.7.1 from", opening(to + "from='ana@a.test'")},
		{"RFC 6120, 4.7.3 an id of the client is ignored", opening(to + "id='mine'")},
		{"RFC 6120, 4.7.4 xml:lang", opening(to + "xml:lang='de'")},
		{"RFC 6120, 4.7.2 to in capital letters", opening("to='A.Test' version='1.0'")},
		{"RFC 6120, 4.7.5 a later minor version", opening("to='a.test' version='1.1'")},
		{"RFC 6120, 4.7.5 a minor version of two digits", opening("to='a.test' version='1.12'")},
		{"RFC 6120, 4.7.5 a later major version", opening("to='a.test' version='2.0'")},
		{"RFC 6120, 4.8.1 attributes of other namespaces", opening(to + "xmlns:x='urn:x' x:a='1'")},
		{"RFC 6120, 4.8.2 the content namespace is declared", opening(to + "xmlns:stream='" + nsStream + "'")},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.upgraded(t)
			w.say(row.open)
			n := w.want(nsFraming, "open")
			if n.attr("from") != "a.test" || n.attr("version") != "1.0" || len(n.attr("id")) < 8 || n.attr("xml:lang") == "" {
				t.Errorf("got %s, want from a.test, version 1.0, an id and a language", n.raw)
			}
			if len(n.children) > 0 || n.text != "" {
				t.Errorf("got %s, want an empty element", n.raw)
			}
			if strings.Contains(row.open, "ana@") && n.attr("to") != "ana@a.test" {
				t.Errorf("got %s, want it to ana@a.test", n.raw)
			}
			w.want(nsStream, "features")
		})
	}
	t.Run("RFC 6120, 4.7.3 each id is another one", func(t *testing.T) {
		ids := make(map[string]bool)
		for range 50 {
			w := s.upgraded(t)
			id, _ := w.open()
			if ids[id] {
				t.Fatalf("the id %q came twice", id)
			}
			ids[id] = true
		}
	})
}

// noHeader is what a server may say of what is no stream header at all.
var noHeader = append([]string{"invalid-namespace", "unsupported-stanza-type", "not-authorized", "policy-violation"}, malformed...)

// headerMistakes are headers with which there is no stream.
var headerMistakes = []mistake{
	{"3.3.2 another namespace", "<open xmlns='urn:other' to='a.test' version='1.0'/>", []string{"invalid-namespace"}},
	{"3.3.2 no namespace", "<open to='a.test' version='1.0'/>", []string{"invalid-namespace"}},
	{"3.3.2 the namespace of TCP", "<open xmlns='" + nsStream + "' to='a.test' version='1.0'/>", []string{"invalid-namespace"}},
	{"3.3.2 the namespace in other letters", "<open xmlns='URN:ietf:params:xml:ns:xmpp-framing' to='a.test' version='1.0'/>", []string{"invalid-namespace"}},
	{"3.4 a header of TCP", "<stream:stream xmlns='jabber:client' xmlns:stream='" + nsStream + "' to='a.test' version='1.0'>", noHeader},
	{"3.4 an empty header of TCP", "<stream:stream xmlns='jabber:client' xmlns:stream='" + nsStream + "' to='a.test' version='1.0'/>", noHeader},
	{"3.4 a stanza", "<message xmlns='jabber:client' to='bo@a.test'/>", noHeader},
	{"3.4 the login", "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>AGFuYQBhbmNob3I=</auth>", noHeader},
	{"3.4 another element of the namespace", "<opened xmlns='" + nsFraming + "' to='a.test' version='1.0'/>", noHeader},
	{"3.3.3 two headers", greeting + greeting, malformed},
	{"3.3.3 a header and more", greeting + "<a xmlns='urn:x'/>", malformed},
	{"3.3.3 text behind the header", greeting + "x", malformed},
	{"3.3.3 white space before the header", " " + greeting, malformed},
	{"3.3.3 a byte order mark", "\ufeff" + greeting, malformed},
	{"3.3.3 nothing", "", malformed},
	{"3.3.3 text", "hello", malformed},
	{"3.3.3 half a header", "<open xmlns='" + nsFraming + "' to='a.test'", malformed},
	{"3.3.3 a header that is not closed", "<open xmlns='" + nsFraming + "' to='a.test' version='1.0'>", malformed},
	{"3.3.3 an attribute twice", opening("to='a.test' version='1.0' to='b.test'"), malformed},
	{"3.3.3 a prefix that is not declared", opening("to='a.test' version='1.0' x:a='1'"), prefixed},
	{"3.3.3 another encoding", "<?xml version='1.0' encoding='ISO-8859-1'?>" + greeting, []string{"unsupported-encoding", "not-well-formed", "bad-format", "invalid-xml"}},
	{"3.3.3 another version of XML", "<?xml version='1.1'?>" + greeting, forbidden},
	{"RFC 6120, 11.1 a document type", "<!DOCTYPE open>" + greeting, restricted},
	{"RFC 6120, 11.1 a comment", "<!-- x -->" + greeting, restricted},
	{"RFC 6120, 11.1 a processing instruction", "<?php x?>" + greeting, restricted},
	{"RFC 6120, 11.1 an entity", opening("to='a.test' version='1.0' id='&copy;'"), forbidden},
	{"RFC 6120, 4.9.3.6 a host that is not here", opening("to='b.test' version='1.0'"), []string{"host-unknown"}},
	{"RFC 6120, 4.7.2 no to", opening("version='1.0'"), []string{"improper-addressing", "host-unknown"}},
	{"RFC 6120, 4.7.2 to that is no address", opening("to='@' version='1.0'"), []string{"improper-addressing", "host-unknown"}},
	{"RFC 6120, 4.7.5 version 0.9", opening("to='a.test' version='0.9'"), []string{"unsupported-version"}},
	{"RFC 6120, 4.7.5 no version", opening("to='a.test'"), []string{"unsupported-version"}},
	{"RFC 6120, 4.7.5 a version that is none", opening("to='a.test' version='one'"), []string{"unsupported-version", "bad-format"}},
	{"RFC 6120, 4.7.1 from that is no address", opening("to='a.test' version='1.0' from='@'"), []string{"improper-addressing", "invalid-from"}},
}

// The answer to such a header is one of ours, the error, and the end.
// See RFC 7395, section 3.5.
func TestOpenFails(t *testing.T) {
	s := newSite(t)
	for _, row := range headerMistakes {
		t.Run(row.name, func(t *testing.T) {
			w := s.upgraded(t)
			w.say(row.text)
			n := w.want(nsFraming, "open")
			if n.attr("id") == "" || n.attr("xml:lang") == "" {
				t.Errorf("got %s, want an id and a language", n.raw)
			}
			w.wantEnd(row.conditions...)
		})
	}
	t.Run("3.2 a binary message", func(t *testing.T) {
		w := s.upgraded(t)
		w.send(frame{op: opBinary, payload: greeting})
		if f := w.next(); f.op == opText { // the stream is opened to say what is wrong
			w.parse(f.payload)
			w.wantFailure()
		} else {
			w.checkClose(f, 1003)
			w.wantEOF()
		}
	})
	t.Run("3.4 close in place of open", func(t *testing.T) {
		w := s.upgraded(t)
		w.say("<close xmlns='" + nsFraming + "'/>")
		f := w.next()
		for f.op == opText {
			if n := w.parse(f.payload); n.name.Local != "open" && n.name.Local != "error" && n.name.Local != "close" {
				t.Fatalf("got %s", n.raw)
			}
			f = w.next()
		}
		w.checkClose(f)
	})
}

// plain is a login.
func plain(user, password string) string {
	return "<auth xmlns='" + nsSASL + "' mechanism='PLAIN'>" + base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "</auth>"
}

// The first stream of a connection and those after it. See RFC 7395, sections 3.4 and 3.7.
func TestRestart(t *testing.T) {
	s := newSite(t)
	t.Run("3.7 a new header, a new id, other features", func(t *testing.T) {
		w := s.upgraded(t)
		first, before := w.open()
		w.say(plain("ana", "anchor"))
		w.want(nsSASL, "success")
		second, after := w.open()
		if first == second {
			t.Errorf("got the id %q twice", first)
		}
		if !before.has("mechanisms") || after.has("mechanisms") || !after.has("bind") {
			t.Errorf("got the features %s and then %s", before.raw, after.raw)
		}
		w.bind()
		w.wantAlive()
	})
	t.Run("3.7 a header for another host", func(t *testing.T) {
		w := s.opened(t)
		w.say(plain("ana", "anchor"))
		w.want(nsSASL, "success")
		w.say(opening("to='b.test' version='1.0'"))
		w.want(nsFraming, "open")
		w.wantEnd("host-unknown", "invalid-from", "improper-addressing", "policy-violation")
	})
	t.Run("3.7 a header for somebody else", func(t *testing.T) {
		w := s.opened(t)
		w.say(plain("ana", "anchor"))
		w.want(nsSASL, "success")
		w.say(opening("to='a.test' version='1.0' from='bo@a.test'"))
		w.want(nsFraming, "open")
		w.wantEnd("invalid-from", "improper-addressing", "not-authorized")
	})
}

// What comes when no new stream is due. See RFC 7395, sections 3.4 and 3.7.
func TestRestartFails(t *testing.T) {
	s := newSite(t)
	t.Run("3.7 a stanza before the header", func(t *testing.T) {
		w := s.opened(t)
		w.say(plain("ana", "anchor"))
		w.want(nsSASL, "success")
		w.say(message("bo@a.test", "1"))
		w.want(nsFraming, "open")
		w.wantEnd("invalid-namespace", "unsupported-stanza-type", "not-authorized", "policy-violation", "bad-format")
	})
	t.Run("3.7 close before the header", func(t *testing.T) {
		w := s.opened(t)
		w.say(plain("ana", "anchor"))
		w.want(nsSASL, "success")
		w.say("<close xmlns='" + nsFraming + "'/>")
		f := w.next()
		for f.op == opText {
			w.parse(f.payload)
			f = w.next()
		}
		w.checkClose(f)
	})
	t.Run("3.4 no second stream besides the first", func(t *testing.T) {
		w := s.login(t, "ana")
		w.say(greeting)
		w.wantEnd("policy-violation", "unsupported-stanza-type", "invalid-namespace", "bad-format", "not-authorized", "conflict")
	})
	t.Run("3.4 no second stream before the login", func(t *testing.T) {
		w := s.opened(t)
		w.say(greeting)
		w.wantEnd("policy-violation", "unsupported-stanza-type", "invalid-namespace", "bad-format", "not-authorized", "conflict")
	})
	t.Run("3.7 no restart after a failed login", func(t *testing.T) {
		w := s.opened(t)
		w.say(plain("ana", "wrong"))
		w.want(nsSASL, "failure")
		w.say(plain("ana", "anchor"))
		w.want(nsSASL, "success")
		w.open()
	})
}

// How a stream ends, and the connection behind it. See RFC 7395, section 3.6.
func TestClose(t *testing.T) {
	s := newSite(t)
	bo := s.login(t, "bo")
	for _, row := range []struct{ name, text string }{
		{"3.6 the example", "<close xmlns='" + nsFraming + "'/>"},
		{"3.6 with double quotes and a space", `<close xmlns="` + nsFraming + `" />`},
		{"3.6 with an end tag", "<close xmlns='" + nsFraming + "'></close>"},
		{"3.6 with a prefix", "<f:close xmlns:f='" + nsFraming + "'/>"},
		{"3.6.1 an attribute that is for servers", "<close xmlns='" + nsFraming + "' see-other-uri='wss://evil.test/'/>"},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.login(t, "ana")
			w.say(row.text, message(bo.jid, "dropped"))
			if n := w.want(nsFraming, "close"); n.attr("see-other-uri") != "" {
				t.Errorf("got %s", n.raw)
			}
			w.wantClose(1000)
			s.wantOffline(t, w.jid)
			bo.t = t
			bo.wantAlive()
		})
	}
	for _, row := range []struct {
		name string
		at   func(t testing.TB) *wire
	}{
		{"3.6 before the login", s.opened},
		{"3.6 before the binding", func(t testing.TB) *wire { return s.authenticated(t, "ana") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := row.at(t)
			w.say("<close xmlns='" + nsFraming + "'/>")
			w.want(nsFraming, "close")
			w.wantClose(1000)
		})
	}
	t.Run("3.6 stanzas before the end arrive", func(t *testing.T) {
		w := s.login(t, "ana")
		w.send(text(message(bo.jid, "last")), text("<close xmlns='"+nsFraming+"'/>"))
		w.want(nsFraming, "close")
		w.wantClose(1000)
		bo.t = t
		bo.wantMessage("last")
	})
	t.Run("3.3.2 another namespace", func(t *testing.T) {
		w := s.login(t, "ana")
		w.say("<close xmlns='urn:other'/>")
		w.wantEnd("invalid-namespace", "unsupported-stanza-type")
	})
}

// Connections that end before their streams. See RFC 7395, section 3.6.
func TestCloseImplicit(t *testing.T) {
	s := newSite(t)
	t.Run("3.6 a connection that is closed without a word", func(t *testing.T) {
		w := s.login(t, "ana")
		w.send(goodbye(1001, ""))
		w.checkClose(w.next(), 1001)
		w.wantEOF()
		s.wantOffline(t, w.jid)
	})
	t.Run("3.6 a connection that breaks", func(t *testing.T) {
		w := s.login(t, "ana")
		_ = w.tcp.SetLinger(0)
		_ = w.c.Close()
		s.wantOffline(t, w.jid)
	})
	t.Run("3.6 a connection that ends without a close frame", func(t *testing.T) {
		w := s.login(t, "ana")
		_ = w.tcp.CloseWrite()
		w.wantGone()
		s.wantOffline(t, w.jid)
	})
}

// A server that sends its clients elsewhere. See RFC 7395, section 3.6.1.
func TestSeeOtherURI(t *testing.T) {
	s := newSite(t)
	const other = "wss://other.test/xmpp?a=1&b=2"
	t.Run("3.6.1 the example", func(t *testing.T) {
		w := s.login(t, "ana")
		jid, _ := stanza.ParseJID(w.jid)
		s.port.session(jid).Kick(&stanza.StreamError{Condition: stanza.StreamSeeOtherHost, Text: other})
		if n := w.want(nsFraming, "close"); n.attr("see-other-uri") != other {
			t.Errorf("got %s, want see-other-uri %q", n.raw, other)
		}
		w.say("<close xmlns='" + nsFraming + "'/>")
		w.wantClose()
	})
	t.Run("RFC 6120, 4.9.3.19 what is no URI is a stream error", func(t *testing.T) {
		w := s.login(t, "ana")
		jid, _ := stanza.ParseJID(w.jid)
		s.port.session(jid).Kick(&stanza.StreamError{Condition: stanza.StreamSeeOtherHost, Text: "gone over there"})
		w.wantEnd("see-other-host")
	})
}
