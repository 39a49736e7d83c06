package s2s

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/listentest"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// outCertificate makes a certificate for there.test that its CA signed, valid at a
// time; the clock of a bubble begins in 2000.
func outCertificate(t testing.TB, from, to int) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	ca, pool := listentest.Certificate(t, "ca.test")
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"there.test"},
		NotBefore: time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(to, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// outFailure is something that goes wrong.
type outFailure struct {
	name    string
	prepare func(r *outRig)
	play    func(p *outPeer) // nil: there is no connection
	want    stanza.Condition
	text    string // to the sender
	step    step
	reason  string // in the log
	after   time.Duration
}

const outNotFound, outTimeout = stanza.RemoteServerNotFound, stanza.RemoteServerTimeout

func outAsking(cert tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert}
}

func outStreamError(condition string) string {
	return "<stream:error><" + condition + " xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>"
}

// outDNSFailures are what can go wrong before there is a connection.
func outDNSFailures() []outFailure {
	return []outFailure{
		{name: "no such name", prepare: func(r *outRig) { r.dns.addrs = nil }, want: outNotFound, text: "no such server", step: stepDNS, reason: "no XMPP server"},
		{name: "no service", prepare: func(r *outRig) {
			r.dns.srv["_xmpp-server._tcp.there.test"] = []*net.SRV{outSRV(0, 0, 1, ".")}
		}, want: outNotFound, text: "no such server", step: stepDNS, reason: "no XMPP server"},
		{name: "DNS does not answer", prepare: func(r *outRig) {
			r.dns.hang = map[string]int{"_xmpp-server._tcp.there.test": 9, "_xmpps-server._tcp.there.test": 9}
		}, want: outTimeout, text: "looking up", step: stepDNS, reason: "timeout", after: 30 * time.Second},
		{name: "DNS fails for the host", prepare: func(r *outRig) {
			r.dns.fail = map[string]error{"there.test": &net.DNSError{Err: "server misbehaving"}}
		}, want: outTimeout, text: "looking up", step: stepDNS, reason: "misbehaving"},
		{name: "connection refused", prepare: func(r *outRig) { r.refuse["192.0.2.7"] = errOutRefused }, want: outTimeout, text: "connecting", step: stepConnection, reason: "refused"},
	}
}

// outStreamFailures are what can go wrong with streams.
func outStreamFailures() []outFailure {
	return []outFailure{
		{name: "no header", play: func(p *outPeer) { p.Expect("<stream:stream") }, want: outTimeout, text: "stream", step: stepStream, reason: "no answer in time", after: 120 * time.Second},
		{name: "no features", play: func(p *outPeer) {
			p.Expect("<stream:stream")
			p.Send(p.header(" version='1.0'"))
		}, want: outTimeout, text: "stream", step: stepStream, reason: "no answer in time", after: 120 * time.Second},
		{name: "connection closed", play: func(p *outPeer) { p.Expect("<stream:stream"); p.Close() }, want: outTimeout, text: "stream", step: stepStream, reason: "EOF"},
		{name: "no XML", play: func(p *outPeer) { p.Send("HTTP/1.1 400 Bad Request\r\n\r\n") }, want: outTimeout, text: "stream", step: stepStream, reason: "not-well-formed"},
		{name: "server for clients", play: func(p *outPeer) {
			p.Send("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' version='1.0' id='1'>")
		}, want: outTimeout, text: "stream", step: stepStream, reason: "no server for servers"},
		{name: "something else than features", play: func(p *outPeer) {
			p.Send(p.header(" version='1.0'") + "<x xmlns='urn:x'/>")
		}, want: outTimeout, text: "stream", step: stepStream, reason: "unexpected <x"},
		{name: "features too big", play: func(p *outPeer) {
			p.Send(p.header(" version='1.0'") + "<stream:features>" + strings.Repeat("<y/>", 1001) + "</stream:features>")
		}, want: outTimeout, text: "stream", step: stepStream, reason: "policy-violation"},
		{name: "stanza before authentication", play: func(p *outPeer) {
			p.open(outDialback)
			p.Send("<message from='x@there.test' to='a@here.test'/>")
			p.Expect("<not-authorized ")
		}, want: outTimeout, text: "authentication", step: stepDialback, reason: "not-authorized"},
		{name: "host unknown", play: func(p *outPeer) { p.Send(p.header(" version='1.0'") + outStreamError("host-unknown")) }, want: outNotFound, text: "does not serve", step: stepStream, reason: "host-unknown"},
		{name: "stream error", play: func(p *outPeer) { p.Send(p.header(" version='1.0'") + outStreamError("internal-server-error")) }, want: outTimeout, text: "stream", step: stepStream, reason: "internal-server-error"},
	}
}

// outTLSFailures are what can go wrong with STARTTLS.
func outTLSFailures() []outFailure {
	return []outFailure{
		{name: "no STARTTLS", prepare: outPolicy(TLSRequired), play: func(p *outPeer) { p.open(outDialback) }, want: outTimeout, text: "encryption", step: stepStartTLS, reason: "does not offer STARTTLS"},
		{name: "no STARTTLS before XMPP 1.0", prepare: outPolicy(TLSRequired), play: func(p *outPeer) { p.Send(p.header("")) }, want: outTimeout, text: "encryption", step: stepStartTLS, reason: "does not offer STARTTLS"},
		{name: "STARTTLS is off", prepare: outPolicy(TLSOff), play: func(p *outPeer) { p.open(outMustTLS, outDialback) }, want: outTimeout, text: "encryption", step: stepStartTLS, reason: "off here"},
		{name: "STARTTLS refused", play: func(p *outPeer) {
			p.open(outTLS, outDialback).Expect(outTLS)
			p.Send("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>")
		}, want: outTimeout, text: "encryption", step: stepStartTLS, reason: "refused STARTTLS"},
		{name: "no proceed", play: func(p *outPeer) { p.open(outTLS).Expect(outTLS) }, want: outTimeout, text: "encryption", step: stepStartTLS, reason: "no answer in time", after: 120 * time.Second},
		{name: "no handshake", play: func(p *outPeer) { p.open(outTLS).Expect(outTLS); p.Send(outProceed) }, want: outTimeout, text: "handshake", step: stepTLS, reason: "no answer in time", after: 120 * time.Second},
		{name: "handshake fails", play: func(p *outPeer) {
			p.open(outTLS).Expect(outTLS)
			p.Send(outProceed)
			synctest.Wait() // what comes earlier is not read
			p.Send("no TLS at all")
		}, want: outTimeout, text: "handshake", step: stepTLS, reason: "TLS handshake"},
	}
}

// outCertificateFailures are what can go wrong with certificates.
func outCertificateFailures(t testing.TB) []outFailure {
	here, _ := listentest.Certificate(t, "here.test")
	there, _ := listentest.Certificate(t, "there.test")
	other, otherPool := listentest.Certificate(t, "other.test")
	expired, expiredPool := outCertificate(t, 1998, 1999)
	return []outFailure{
		{name: "certificate for another name", prepare: func(r *outRig) { outPolicy(TLSRequiredTrusted)(r); outWithTLS(otherPool, here)(r) },
			play: func(p *outPeer) { p.startTLS(outAsking(other)) }, want: outTimeout, text: "certificate", step: stepCertificate, reason: "not for"},
		{name: "certificate of nobody", prepare: func(r *outRig) { outPolicy(TLSRequiredTrusted)(r); outWithTLS(otherPool, here)(r) },
			play: func(p *outPeer) { p.startTLS(outAsking(there)) }, want: outTimeout, text: "certificate", step: stepCertificate, reason: "unknown authority"},
		{name: "certificate has expired", prepare: func(r *outRig) { outPolicy(TLSRequiredTrusted)(r); outWithTLS(expiredPool, here)(r) },
			play: func(p *outPeer) { p.startTLS(outAsking(expired)) }, want: outTimeout, text: "certificate", step: stepCertificate, reason: "expired"},
		{name: "certificate proves nothing and there is no dialback", prepare: func(r *outRig) { r.set.Dialback = all(false); outWithTLS(otherPool, here)(r) },
			play: func(p *outPeer) {
				p.startTLS(outAsking(other)).open(outExternal)
			}, want: outTimeout, text: "certificate", step: stepCertificate, reason: "not for"},
	}
}

// outAuthFailures are what can go wrong with authentication.
func outAuthFailures(t testing.TB) []outFailure {
	here, _ := listentest.Certificate(t, "here.test")
	there, pool := listentest.Certificate(t, "there.test")
	return []outFailure{
		{name: "no way to authenticate", play: func(p *outPeer) {
			p.Send(strings.ReplaceAll(p.header(" version='1.0'"), "xmlns:db='jabber:server:dialback'", "") + "<stream:features/>")
		},
			want: outTimeout, text: "authentication", step: stepDialback, reason: "dialback is not possible"},
		{name: "dialback is off", prepare: func(r *outRig) { r.set.Dialback = all(false) }, play: func(p *outPeer) { p.open(outDialback) },
			want: outTimeout, text: "authentication", step: stepDialback, reason: "dialback is not possible"},
		{name: "SASL fails and dialback is off", prepare: func(r *outRig) { r.set.Dialback = all(false); outWithTLS(pool, here)(r) },
			play: func(p *outPeer) {
				p.startTLS(outAsking(there)).open(outExternal, outDialback).Expect(outAuth)
				p.Send(outSASLError)
			}, want: outTimeout, text: "authentication", step: stepSASL, reason: "not-authorized"},
		{name: "no EXTERNAL and dialback is off", prepare: func(r *outRig) { r.set.Dialback = all(false); outWithTLS(pool, here)(r) },
			play: func(p *outPeer) { p.startTLS(outAsking(there)).open(outDialback) }, want: outTimeout, text: "authentication", step: stepSASL, reason: "neither SASL"},
		{name: "no success", prepare: outWithTLS(pool, here), play: func(p *outPeer) { p.startTLS(outAsking(there)).open(outExternal).Expect(outAuth) },
			want: outTimeout, text: "authentication", step: stepSASL, reason: "no answer in time", after: 120 * time.Second},
		{name: "success and no stream", prepare: outWithTLS(pool, here), play: func(p *outPeer) {
			p.startTLS(outAsking(there)).open(outExternal).Expect(outAuth)
			p.Send(outSuccess)
			p.Expect("<stream:stream")
		}, want: outTimeout, text: "stream", step: stepStream, reason: "no answer in time", after: 120 * time.Second},
	}
}

// outDialbackFailures are what can go wrong with dialback.
func outDialbackFailures() []outFailure {
	return []outFailure{
		{name: "key is invalid", play: func(p *outPeer) {
			p.open(outDialback).Expect("</db:result>")
			p.Send("<db:result from='there.test' to='here.test' type='invalid'/></stream:stream>")
		}, want: outTimeout, text: "authentication", step: stepDialback, reason: "key is invalid"},
		{name: "key is not verified", play: func(p *outPeer) {
			p.open(outDialback).Expect("</db:result>")
			p.Send("<db:result from='there.test' to='here.test' type='error'><error type='cancel'><remote-server-timeout xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>")
		}, want: outTimeout, text: "authentication", step: stepDialback, reason: "remote-server-timeout"},
		{name: "answer for another pair", play: func(p *outPeer) {
			p.open(outDialback).Expect("</db:result>")
			p.Send("<db:result from='other.test' to='here.test' type='valid'/>")
		}, want: outTimeout, text: "authentication", step: stepDialback, reason: "unexpected <result"},
		{name: "no answer to dialback", play: func(p *outPeer) { p.open(outDialback).Expect("</db:result>") },
			want: outTimeout, text: "authentication", step: stepDialback, reason: "no answer in time", after: 120 * time.Second},
		{name: "stream without id", play: func(p *outPeer) {
			p.Send(strings.Replace(p.header(" version='1.0'"), " id='s'", "", 1) + "<stream:features>" + outDialback + "</stream:features>")
		}, want: outTimeout, text: "authentication", step: stepDialback, reason: "no id"},
		{name: "no answer to enable", play: func(p *outPeer) { p.open(outDialback, outSM).dialback().Expect("<enable ") },
			want: outTimeout, text: "stream", step: stepStream, reason: "no answer in time", after: 120 * time.Second},
	}
}

// TestOutgoingFailures checks what a sender gets back and what the log says: for
// each step, what can go wrong in it.
func TestOutgoingFailures(t *testing.T) {
	tests := slices.Concat(outDNSFailures(), outStreamFailures(), outTLSFailures(), outCertificateFailures(t), outAuthFailures(t), outDialbackFailures())
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := outStart(t, func(r *outRig) {
					if tt.prepare != nil {
						tt.prepare(r)
					}
				})
				start := time.Now()
				r.send("1")
				r.send("2")
				if tt.play != nil {
					p := r.peer()
					p.r = r
					tt.play(p)
				}
				for len(r.lines("no stream")) == 0 && time.Since(start) < time.Hour {
					time.Sleep(time.Second / 2)
					synctest.Wait()
				}
				if took := time.Since(start); took < tt.after || took > tt.after+3*time.Second {
					t.Errorf("failed after %v, want %v", took, tt.after)
				}
				r.returned(tt.want, tt.text, "1", "2")
				lines := r.lines("no stream to a server")
				if len(lines) != 1 {
					t.Fatalf("log: got %q, want one line", lines)
				}
				for _, want := range []string{"local=here.test remote=there.test ", " step=" + string(tt.step) + " ", tt.reason, " retry_in=500ms"} {
					if !strings.Contains(lines[0], want) {
						t.Errorf("log: got %s, want %q in it", lines[0], want)
					}
				}
				if tt.play != nil && !strings.Contains(lines[0], "peer=192.0.2.7:5269") {
					t.Errorf("log: got %s, want the address of the peer", lines[0])
				}
				r.noPeer()
			})
		})
	}
}

// TestOutgoingBackoff checks that failures let a server be, longer and longer, and
// that a stream that is ready forgets them.
func TestOutgoingBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) { r.set.MaxRetryDelay = 10 * time.Second })
		r.refuse["192.0.2.7"] = errOutRefused
		r.srv.out.random = func() float64 { return 1 }
		asked := func() int { r.dns.mu.Lock(); defer r.dns.mu.Unlock(); return len(r.dns.asked) }
		for i, delay := range []time.Duration{1, 2, 4, 8, 10, 10} {
			r.send("tried")
			r.returned(stanza.RemoteServerTimeout, "connecting", "tried")
			n := asked()
			time.Sleep(delay*time.Second - 1)
			r.send("early")
			r.returned(stanza.RemoteServerTimeout, "connecting", "early")
			if asked() != n {
				t.Errorf("failure %d: the server was tried again within %v s", i+1, int(delay))
			}
			time.Sleep(time.Nanosecond)
		}
		if n := len(r.lines("no stream to a server")); n != 6 {
			t.Errorf("log: got %d lines, want one for each of 6 failures", n)
		}
		delete(r.refuse, "192.0.2.7")
		r.send("1")
		p := r.peer().open(outDialback).dialback()
		p.messages(1)
		p.close()
		r.refuse["192.0.2.7"] = errOutRefused
		synctest.Wait()
		r.send("2")
		r.returned(stanza.RemoteServerTimeout, "connecting", "2")
		if lines := r.lines("retry_in=1s"); len(lines) != 2 {
			t.Errorf("log: got %q, want a second first failure", lines)
		}
	})
}

func TestOutgoingBackoffJitter(t *testing.T) {
	now := time.Now()
	for random, want := range map[float64]time.Duration{0: time.Second, 0.5: 1500 * time.Millisecond, 1: 2 * time.Second} {
		var b backoff
		b.fail(now, time.Minute, 0, nil)
		if got := b.fail(now, time.Minute, random, nil); got != want {
			t.Errorf("second failure with the random number %v: got %v, want %v", random, got, want)
		}
	}
	var b backoff
	for range 100 {
		if d := b.fail(now, 300*time.Second, 1, nil); d > 300*time.Second {
			t.Fatalf("got %v, want 300 s at most", d)
		}
	}
	if d := b.fail(b.forget.Add(1), time.Minute, 1, nil); d != time.Second {
		t.Errorf("long after a failure: got %v, want the first delay", d)
	}
}

// outTwoTargets gives there.test two targets, the first with two addresses.
func outTwoTargets(r *outRig) {
	r.dns.srv["_xmpp-server._tcp.there.test"] = []*net.SRV{outSRV(1, 0, 1, "a.test."), outSRV(2, 0, 1, "b.test.")}
	r.dns.addrs["a.test"] = []netip.Addr{netip.MustParseAddr("192.0.2.8"), netip.MustParseAddr("192.0.2.9")}
	r.dns.addrs["b.test"] = []netip.Addr{netip.MustParseAddr("192.0.2.10")}
}

// served takes one message.
func (p *outPeer) served() { p.open(outDialback).dialback().messages(1); p.close() }

// TestOutgoingNextAddress checks which failures lead to the next address.
func TestOutgoingNextAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outTwoTargets)
		r.refuse["192.0.2.8"], r.refuse["192.0.2.9"] = errOutRefused, errOutRefused
		r.send("1")
		p := r.peer()
		if got := p.to.String(); got != "192.0.2.10:1" {
			t.Errorf("connected to %s, want 192.0.2.10:1", got)
		}
		p.served()
		r.returned("", "")
	})
}

func TestOutgoingNextAddressAfterStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outTwoTargets)
		r.send("1")
		r.peer().Close()
		p := r.peer()
		p.Send(p.header(" version='1.0'") + "<stream:error><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
		r.peer().served()
		r.returned("", "")
	})
}

func TestOutgoingNextAddressNotAfterRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outTwoTargets)
		r.send("1")
		p := r.peer().open(outDialback)
		p.Expect("</db:result>")
		p.Send("<db:result from='there.test' to='here.test' type='invalid'/>")
		p.Expect("</stream:stream>")
		p.Close()
		r.returned(stanza.RemoteServerTimeout, "authentication", "1")
		r.noPeer()
	})
}

func TestOutgoingNextAddressNotWithoutTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outTwoTargets)
		r.send("1")
		for range 3 {
			p := r.peer()
			if p.to.String() == "192.0.2.8:1" {
				p.open(outTLS).Expect(outTLS)
				p.Send(outProceed + "garbage")
				p.Close()
			} else {
				p.open(outDialback)
				p.Expect("</stream:stream>")
				p.Close()
			}
		}
		r.returned(stanza.RemoteServerTimeout, "encryption", "1")
	})
}

func TestOutgoingNextAddressAllSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, outTwoTargets)
		start := time.Now()
		r.send("1")
		for len(r.lines("no stream")) == 0 {
			time.Sleep(time.Second)
		}
		if took := time.Since(start); took > 361*time.Second {
			t.Errorf("failed after %v, want 6 min at most", took)
		}
		r.returned(stanza.RemoteServerTimeout, "stream", "1")
	})
}

// TestOutgoingAnswers checks what is answered when it cannot be sent, and who gets
// it.
func TestOutgoingAnswers(t *testing.T) {
	const addr = " from='a@here.test/r' to='x@there.test' id='1'"
	tests := []struct {
		name, xml string
		want      bool
	}{
		{"message", "<message" + addr + "/>", true},
		{"request", "<iq type='get'" + addr + "><q xmlns='urn:q'/></iq>", true},
		{"presence", "<presence" + addr + "/>", true},
		{"subscription", "<presence type='subscribe'" + addr + "/>", true},
		{"message of type error", "<message type='error'" + addr + "/>", false},
		{"result", "<iq type='result'" + addr + "/>", false},
		{"error", "<iq type='error'" + addr + "/>", false},
		{"unavailable presence", "<presence type='unavailable'" + addr + "/>", false},
		{"probe", "<presence type='probe'" + addr + "/>", false},
		{"sender elsewhere", "<message from='a@away.test' to='x@there.test' id='1'/>", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := outStart(t, func(r *outRig) { r.dns.addrs = nil })
				for _, when := range []string{"in the queue", "at once"} {
					r.put(tt.xml)
					synctest.Wait()
					got := r.routed()
					if len(got) != 0 != tt.want {
						t.Fatalf("%s: got %v, want an answer: %t", when, got, tt.want)
					}
					if tt.want && (got[0].From.String() != "x@there.test" || got[0].To.String() != "a@here.test/r" || got[0].ID != "1") {
						t.Errorf("%s: got %v, want it from x@there.test to a@here.test/r", when, got[0])
					}
				}
			})
		})
	}
}

func TestOutgoingDenied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) { r.set.Access.Value = nil })
		r.send("1")
		r.returned(stanza.Forbidden, "not allowed", "1")
		r.noPeer()
		if n := r.srv.out.links.Load(); n != 0 {
			t.Errorf("got %d links, want none", n)
		}
		r.put("<message from='a@here.test' to='x@there.test' id='2'><body>" + strings.Repeat("x", maxOutgoing) + "</body></message>")
		r.returned(stanza.PolicyViolation, "too big", "2")
	})
}

// TestOutgoingQueueBounds checks that what is too much is returned, and the rest
// sent.
func TestOutgoingQueueBounds(t *testing.T) {
	tests := map[string]func(r *outRig){
		"stanzas": func(r *outRig) { r.set.MaxFSMQueue = all(3) },
		"bytes":   func(r *outRig) { r.set.MaxQueueBytes = 320 },
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := outStart(t, prepare)
				for _, id := range []string{"1", "2", "3", "4", "5"} {
					r.send(id)
				}
				r.returned(stanza.ResourceConstraint, "too much", "4", "5")
				if n := r.srv.Queued(); n != 3 {
					t.Errorf("Queued: got %d, want 3", n)
				}
				p := r.peer().open(outDialback).dialback()
				if got := p.messages(3); !slices.Equal(got, []string{"1", "2", "3"}) {
					t.Errorf("got %q, want 1, 2 and 3", got)
				}
				r.send("6")
				p.messages(1)
				p.close()
				r.returned("", "")
			})
		})
	}
}
