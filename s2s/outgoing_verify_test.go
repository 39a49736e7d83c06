package s2s

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

var outPair = pair{"here.test", "there.test"}

// outVerify asks in a goroutine.
func (r *outRig) outVerify(id, key string) <-chan error {
	done := make(chan error, 1)
	go func() { done <- r.srv.out.verify(context.Background(), outPair, id, key) }()
	synctest.Wait()
	return done
}

func outQuestion(id, key string) string {
	return "<db:verify from='here.test' to='there.test' id='" + id + "'>" + key + "</db:verify>"
}

func outAnswer(id, kind, more string) string {
	return "<db:verify from='there.test' to='here.test' id='" + id + "' type='" + kind + "'>" + more + "</db:verify>"
}

// TestOutgoingVerify checks the answers to a question, on a stream that was opened
// for it.
func TestOutgoingVerify(t *testing.T) {
	tests := []struct {
		name, answer string
		want         error
	}{
		{"valid", outAnswer("i1", "valid", ""), nil},
		{"invalid", outAnswer("i1", "invalid", ""), errInvalidKey},
		{"error", outAnswer("i1", "error", "<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"), &stanza.Error{Condition: stanza.ItemNotFound}},
		{"the end", "</stream:stream>", &stanza.Error{Condition: stanza.RemoteServerTimeout}},
		{"others first", outAnswer("i2", "valid", "") + strings.ReplaceAll(outAnswer("i1", "valid", ""), "here", "else") + outAnswer("i1", "invalid", ""), errInvalidKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := outStart(t)
				done := r.outVerify("i1", "k1")
				for {
					select {
					case err := <-done:
						if !errors.Is(err, tt.want) {
							t.Errorf("got %v, want %v", err, tt.want)
						}
						return
					case p := <-r.conns:
						p.open(outDialback)
						p.Expect(outQuestion("i1", "k1"))
						p.Send(tt.answer)
						if tt.answer[1] == '/' { // it is asked again, once
							p.Close()
							continue
						}
						time.Sleep(linger)
						if got := p.ExpectEOF(); got != "</stream:stream>" {
							t.Errorf("then got %q, want the end alone", got)
						}
					}
				}
			})
		})
	}
}

// TestOutgoingVerifyOnStream checks that questions go by the stream that is there:
// before authentication, during it, and after.
func TestOutgoingVerifyOnStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		one := r.outVerify("i1", "k1")
		p := r.peer()
		two := r.outVerify("i2", "k2")
		p.open(outDialback)
		p.Expect(outQuestion("i1", "k1") + outQuestion("i2", "k2"))
		three := r.outVerify("i3", "k3")
		p.Expect(outQuestion("i3", "k3"))
		r.send("1")
		p.Expect("</db:result>")
		four := r.outVerify("i4", "k4")
		p.Expect(outQuestion("i4", "k4"))
		p.Send(outAnswer("i4", "valid", "") + outAnswer("i2", "valid", ""))
		p.Send("<db:result from='there.test' to='here.test' type='valid'/>")
		p.messages(1)
		five := r.outVerify("i5", "k5")
		p.Expect(outQuestion("i5", "k5"))
		p.Send(outAnswer("i5", "valid", "") + outAnswer("i1", "valid", "") + outAnswer("i3", "valid", ""))
		for i, done := range []<-chan error{one, two, three, four, five} {
			if err := <-done; err != nil {
				t.Errorf("question %d: got %v, want valid", i+1, err)
			}
		}
		p.close()
		r.noPeer()
	})
}

// TestOutgoingVerifyLingers checks that a stream which was opened for a question is
// there for what comes next, for a while.
func TestOutgoingVerifyLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		done := r.outVerify("i1", "k1")
		p := r.peer().open(outDialback)
		p.Expect("</db:verify>")
		p.Send(outAnswer("i1", "valid", ""))
		<-done
		time.Sleep(linger - time.Second)
		r.send("1")
		p.dialback().messages(1)
		p.close()
		synctest.Wait()

		done = r.outVerify("i2", "k2")
		p = r.peer().open(outDialback)
		p.Expect("</db:verify>")
		p.Send(outAnswer("i2", "valid", ""))
		<-done
		answered := time.Now()
		p.ExpectNothing(linger / 2)
		p.Expect("</stream:stream>")
		if took := time.Since(answered); took < linger-time.Second || took > linger+time.Second {
			t.Errorf("stream was closed after %v, want %v", took, linger)
		}
		p.Close()
	})
}

// TestOutgoingVerifyAgain checks that a question goes by another stream if the first
// one breaks, and that back-off does not hold it up.
func TestOutgoingVerifyAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		r.refuse["192.0.2.7"] = errOutRefused
		r.send("1")
		r.returned(stanza.RemoteServerTimeout, "connecting", "1")
		delete(r.refuse, "192.0.2.7")
		r.send("2")
		r.returned(stanza.RemoteServerTimeout, "connecting", "2")
		done := r.outVerify("i1", "k1")
		p := r.peer().open(outDialback)
		p.Expect("</db:verify>")
		p.Send(outAnswer("i1", "valid", ""))
		if err := <-done; err != nil {
			t.Errorf("got %v, want valid", err)
		}
		r.send("3") // it can be reached
		p.dialback().messages(1)
		done = r.outVerify("i2", "k2")
		p.Expect("</db:verify>")
		p.Close()
		p = r.peer().open(outDialback)
		p.Expect(outQuestion("i2", "k2"))
		p.Send(outAnswer("i2", "invalid", ""))
		if err := <-done; err != errInvalidKey {
			t.Errorf("got %v, want an invalid key", err)
		}
		p.Close()
	})
}

func TestOutgoingVerifyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t, func(r *outRig) { r.dns.addrs = nil })
		if err := <-r.outVerify("i1", "k1"); !errors.Is(err, &stanza.Error{Condition: stanza.RemoteServerNotFound}) {
			t.Errorf("no such server: got %v, want remote-server-not-found", err)
		}
		r = outStart(t)
		start := time.Now()
		done := r.outVerify("i1", "k1")
		p := r.peer().open(outDialback)
		if err := <-done; !errors.Is(err, errVerifyTimeout) || time.Since(start) != verifyTimeout {
			t.Errorf("no answer: got %v after %v, want a timeout after %v", err, time.Since(start), verifyTimeout)
		}
		p.Close()
		r = outStart(t, func(r *outRig) { r.set.Access.Value = nil })
		if err := <-r.outVerify("i1", "k1"); !errors.Is(err, errDenied) {
			t.Errorf("no access: got %v, want %v", err, errDenied)
		}
		if err := r.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		r = outStart(t)
		done = r.outVerify("i1", "k1")
		p = r.peer()
		go func() { _ = r.srv.Shutdown(context.Background()) }()
		if err := <-done; !errors.Is(err, errStopping) {
			t.Errorf("shutdown: got %v, want %v", err, errStopping)
		}
		p.Close()
		if err := <-r.outVerify("i1", "k1"); !errors.Is(err, errStopping) {
			t.Errorf("after shutdown: got %v, want %v", err, errStopping)
		}
	})
}

func TestOutgoingVerifyBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := outStart(t)
		var all []<-chan error
		for i := range maxAsks {
			all = append(all, r.outVerify(fmt.Sprint("i", i), "k"))
		}
		if err := <-r.outVerify("more", "k"); !errors.Is(err, &stanza.Error{Condition: stanza.ResourceConstraint}) {
			t.Errorf("got %v, want resource-constraint", err)
		}
		p := r.peer().open(outDialback)
		for i := range all {
			p.Send(outAnswer(fmt.Sprint("i", i), "valid", ""))
		}
		for _, done := range all {
			if err := <-done; err != nil {
				t.Errorf("got %v, want valid", err)
			}
		}
		if n := r.srv.out.asking.Load(); n != 0 {
			t.Errorf("got %d questions in the end, want none", n)
		}
		p.Close()
	})
}

// TestOutgoingBothWays checks what a server may send on a stream of ours.
// See XEP-0288.
func TestOutgoingBothWays(t *testing.T) {
	tests := []struct {
		name     string
		features string
		send     string
		routed   bool
		want     string // back
	}{
		{"stanza", outBidi, "<message from='x@there.test' to='a@here.test' id='1'/>", true, ""},
		{"not agreed on", "", "<message from='x@there.test' to='a@here.test' id='1'/>", false, "<not-authorized "},
		{"another domain", outBidi, "<message from='x@other.test' to='a@here.test' id='1'/>", false, "<invalid-from "},
		{"another domain of ours", outBidi, "<message from='x@there.test' to='a@also.test' id='1'/>", false, "<invalid-from "},
		{"domain of nobody", outBidi, "<message from='x@there.test' to='a@elsewhere.test' id='1'/>", false, "<host-unknown "},
		{"wrong stanza", outBidi, "<iq type='get' from='x@there.test' to='a@here.test' id='1'/>", false, "<iq from='a@here.test' to='x@there.test' type='error' id='1'><error type='modify'><bad-request "},
		{"no addresses", outBidi, "<message/>", false, "<improper-addressing "},
		{"key for the stream", outBidi, "<db:result from='rooms.there.test' to='here.test'>k</db:result>", false, "<db:result from='here.test' to='rooms.there.test' type='error'><error type='wait'><resource-constraint "},
		{"question", outBidi, "<db:verify from='there.test' to='here.test' id='5'>" + dialbackKey([]byte("sixteen bytes or more"), "there.test", "here.test", "5") + "</db:verify>", false, "<db:verify from='here.test' to='there.test' id='5' type='valid'/>"},
		{"answer that nobody wanted", outBidi, "<db:result from='there.test' to='here.test' type='valid'/>", false, "<policy-violation "},
		{"late answer", outBidi, outAnswer("i9", "valid", "") + "<message from='x@there.test' to='a@here.test' id='1'/>", true, ""},
		{"unknown element", outBidi, "<x xmlns='urn:x'/>", false, "<unsupported-stanza-type "},
		{"stream error", outBidi, "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>", false, "</stream:stream>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := outStart(t)
				r.send("0")
				p := r.peer().open(outDialback, tt.features)
				if tt.features != "" {
					p.Expect("<bidi xmlns='urn:xmpp:bidi'/><db:result ")
				}
				p.Expect("</db:result>")
				p.Send("<db:result from='there.test' to='here.test' type='valid'/>")
				p.messages(1)
				p.Send(tt.send)
				if tt.want != "" {
					p.Expect(tt.want)
				}
				synctest.Wait()
				if got := r.routed(); (len(got) == 1) != tt.routed {
					t.Errorf("got %v, want the stanza: %t", got, tt.routed)
				}
				p.Close()
			})
		})
	}
	t.Run("off", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := outStart(t, func(r *outRig) { r.set.Bidi = all(false) })
			r.send("0")
			p := r.peer().open(outDialback, outBidi)
			if got := p.Expect("</db:result>"); strings.Contains(got, "bidi") {
				t.Errorf("got %s, want no bidi", got)
			}
			p.Close()
		})
	})
}
