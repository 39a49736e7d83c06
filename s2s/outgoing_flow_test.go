package s2s

import (
	"crypto/tls"
	"testing"
	"testing/synctest"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

func TestOutgoingDialback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		r.send("2")
		p := r.peer().open(outDialback).dialback()
		p.Expect("<message from='a@here.test/r' to='x@there.test' id='1'><body>1</body></message>")
		p.messages(1)
		r.send("3")
		p.messages(1)
		if n := r.srv.Outgoing(); n != 1 {
			t.Errorf("Outgoing: got %d, want 1", n)
		}
		p.close()
		r.returned("", "")
	})
}

func TestOutgoingBeforeXMPP10(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.send("1")
		p := r.peer()
		p.Expect(">")
		p.Send(p.header(""))
		p.dialback().messages(1)
		p.close()
	})
}

func TestOutgoingTLS(t *testing.T) {
	here, herePool := listentest.Certificate(t, "here.test")
	there, therePool := listentest.Certificate(t, "there.test")
	config := &tls.Config{Certificates: []tls.Certificate{there}, ClientAuth: tls.RequestClientCert, ClientCAs: herePool}
	for _, policy := range []StartTLS{TLSOptional, TLSRequired, TLSRequiredTrusted} {
		t.Run(string(policy), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := outStart(t, outPolicy(policy), outWithTLS(therePool, here))
				r.send("1")
				p := r.peer().startTLS(config)
				p.open(outExternal, outDialback, outBidi).Expect("<bidi xmlns='urn:xmpp:bidi'/>" + outAuth)
				if got := p.Conn().(*tls.Conn).ConnectionState(); len(got.PeerCertificates) != 1 || got.ServerName != "there.test" {
					t.Errorf("handshake: got %d certificates and the server name %q, want 1 and there.test", len(got.PeerCertificates), got.ServerName)
				}
				p.Send(outSuccess)
				p.open(outSM).Expect("<enable xmlns='urn:xmpp:sm:3'/>")
				p.Send("<enabled xmlns='urn:xmpp:sm:3'/>")
				p.messages(1)
				p.Expect("<r xmlns='urn:xmpp:sm:3'/>")
				p.Send("<a xmlns='urn:xmpp:sm:3' h='1'/><message from='x@there.test' to='a@here.test' id='back'/><r xmlns='urn:xmpp:sm:3'/>")
				p.Expect("<a xmlns='urn:xmpp:sm:3' h='1'/>")
				if got := r.routed(); len(got) != 1 || got[0].ID != "back" {
					t.Errorf("got %v, want the message back", got)
				}
				p.close()
			})
		})
	}
}

func TestOutgoingRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.refuse["192.0.2.7"] = errOutRefused
		r.send("1")
		r.returned(stanza.RemoteServerTimeout, "connecting", "1")
	})
}
