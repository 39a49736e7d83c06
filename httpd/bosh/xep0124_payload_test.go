package bosh_test

import (
	"testing"
	"time"
)

// Payloads and who waits for them.
// See XEP-0124, section 8.
var xepPayloads = []xepRow{
	{"8 payloads are forwarded in their order", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		ana.send(nil, xepMessage(bo.jid, "1")+xepMessage(bo.jid, "2"))
		ana.send(nil, xepMessage(bo.jid, "3"))
		bo.wantMessages("1", "2", "3")
	}},
	{"8 white space between payloads", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		ana.send(nil, "\r\n\t"+xepMessage(bo.jid, "1")+"\n  "+xepMessage(bo.jid, "2")+"\n")
		bo.wantMessages("1", "2")
	}},
	{"8 an empty request waits for a payload", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		held := bo.send(nil, "").wantHeld()
		ana.send(nil, xepMessage(bo.jid, "1"))
		held.wantTexts("1")
	}},
	{"8 a request with a payload waits in the same way", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		held := bo.send(nil, xepMessage(ana.jid, "1")).wantHeld()
		ana.wantMessages("1")
		ana.send(nil, xepMessage(bo.jid, "2"))
		held.wantTexts("2")
	}},
	{"8 payloads wait for a request", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		ana.send(nil, xepMessage(bo.jid, "1"))
		r.settle()
		ana.send(nil, xepMessage(bo.jid, "2"))
		r.settle()
		bo.wantMessages("1", "2")
	}},
	{"8 no request waits longer than wait", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"wait": "2"})
		held := bo.send(nil, "").wantHeld()
		r.sleep(2*time.Second + 500*time.Millisecond)
		if held.pending() {
			r.t.Error("the request is held for more than 2 s")
		}
		held.answer().wantEmpty()
	}},
	{"8 not more requests wait than hold", func(r *xepRig) {
		bo := r.login("bo", nil)
		first := bo.send(nil, "").wantHeld()
		bo.send(nil, xepMessage(bo.jid+"x", "1"))
		first.wantNow().wantOK()
	}},
	{"8 a new request takes the place of the one that is held", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		first := bo.send(nil, "").wantHeld()
		second := bo.send(nil, xepMessage(ana.jid, "1"))
		first.wantNow().wantEmpty()
		second.wantHeld()
		ana.send(nil, xepMessage(bo.jid, "2"))
		second.wantTexts("2")
	}},
	{"8 with hold 2 payloads go to the older request", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", xepAttrs{"hold": "2"})
		if bo.created.number("hold") < 2 {
			return // it holds fewer
		}
		first, second := bo.send(nil, "").wantHeld(), bo.send(nil, xepMessage(ana.jid, "1")).wantHeld()
		ana.send(nil, xepMessage(bo.jid, "2"))
		first.wantNow().wantOK()
		second.wantHeld()
	}},
	{"8 a payload to itself", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
	}},
	{"8 many payloads are neither lost nor changed in order", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		var want []string
		for i := range 10 {
			text := string(rune('a' + i))
			want = append(want, text)
			ana.send(nil, xepMessage(bo.jid, text))
			r.settle()
		}
		bo.wantMessages(want...)
	}},
	{"6 text of payloads is kept", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.send(nil, xepMessage(bo.jid, "&lt;&amp;&gt;&apos;&quot; \U0001F6A2 é&#xE9;<![CDATA[<b>&amp;]]>")).
			wantTexts("<&>'\" \U0001F6A2 éé<b>&amp;")
	}},
}

func TestXEP0124Payloads(t *testing.T) { xepTables(t, false, xepPayloads) }

// How a client ends a session.
// See XEP-0124, section 13.
var xepTerminations = []xepRow{
	{"13 the answer ends the session", func(r *xepRig) {
		bo := r.login("bo", nil)
		a := bo.send(xepAttrs{"type": "terminate"}, "").wantNow()
		a.wantTerminate("")
		if a.has("condition") || len(a.body.Children) > 0 {
			r.t.Errorf("got %v, want an empty body without condition", a)
		}
		bo.wantGone()
	}},
	{"13 a payload is forwarded", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		bo.send(xepAttrs{"type": "terminate"}, xepMessage(ana.jid, "bye")).wantNow().wantTerminate("")
		ana.wantMessages("bye")
	}},
	{"13 unavailable presence as payload", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.send(xepAttrs{"type": "terminate"}, "<presence type='unavailable' xmlns='"+xepNSClient+"'/>").wantNow().wantTerminate("")
		bo.wantGone()
	}},
	{"13 the session of the user ends too", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		bo.send(xepAttrs{"type": "terminate"}, "").wantNow()
		ana.wantUnreachable(bo.jid)
	}},
	{"13 the oldest request is told", func(r *xepRig) {
		bo := r.login("bo", nil)
		held := bo.send(nil, "").wantHeld()
		bo.send(xepAttrs{"type": "terminate"}, "")
		held.wantNow().wantTerminate("")
	}},
	{"13 other requests get an empty body", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.send(nil, "").wantHeld()
		bo.send(xepAttrs{"type": "terminate"}, "").wantNow().wantEmpty()
	}},
	{"13 all requests are answered", func(r *xepRig) {
		bo := r.login("bo", nil)
		held := bo.send(nil, "").wantHeld()
		last := bo.send(xepAttrs{"type": "terminate"}, "")
		for _, a := range []*xepAnswer{held.wantNow(), last.wantNow()} {
			a.wantWrapper()
		}
		bo.wantGone()
	}},
	{"13 a session without a login", func(r *xepRig) {
		s := r.create(nil)
		s.send(xepAttrs{"type": "terminate"}, "").wantNow().wantTerminate("")
		s.wantGone()
	}},
	{"14.2 payloads of earlier requests come before the end", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		last := bo.sendAt(bo.rid+2, xepAttrs{"type": "terminate"}, xepMessage(ana.jid, "2")).wantHeld()
		bo.send(nil, xepMessage(ana.jid, "1"))
		last.wantNow().wantWrapper()
		ana.wantMessages("1", "2")
	}},
	{"11 one request more than allowed may terminate", func(r *xepRig) {
		bo := r.login("bo", nil)
		calls := []*xepCall{bo.send(nil, "").wantHeld()}
		for range bo.created.number("requests") - 1 {
			calls = append(calls, bo.send(nil, xepMessage(bo.jid+"x", "1")))
		}
		for _, c := range append(calls, bo.send(xepAttrs{"type": "terminate"}, "")) {
			a := c.wantNow()
			a.wantWrapper()
			if got := a.attr("condition"); got == "policy-violation" || got == "item-not-found" {
				r.t.Errorf("got %v", a)
			}
		}
	}},
	{"17.2 a client reports a binding error", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.send(xepAttrs{"type": "terminate", "condition": "undefined-condition"}, "").wantNow().wantWrapper()
		bo.wantGone()
	}},
}

func TestXEP0124Terminations(t *testing.T) { xepTables(t, false, xepTerminations) }

// wantUnreachable wants that an address is that of no session.
func (s *xepSession) wantUnreachable(jid string) {
	s.r.t.Helper()
	s.r.settle()
	got := s.ask(nil, "<iq xmlns='"+xepNSClient+"' type='get' id='gone' to='"+jid+"'><ping xmlns='urn:xmpp:ping'/></iq>", xepNSClient, "iq")
	if got.child(xepNSClient, "error") == nil {
		s.r.t.Errorf("%s answers, want an error", jid)
	}
}

// Sessions that are left alone.
// See XEP-0124, section 10.
var xepInactivity = []xepRow{
	{"10 a session without requests ends after inactivity", func(r *xepRig) {
		bo := r.login("bo", nil)
		r.sleep(bo.seconds("inactivity") + 3*time.Second)
		bo.wantGone()
		r.login("ana", nil).wantUnreachable(bo.jid)
	}},
	{"10 and not before", func(r *xepRig) {
		bo := r.login("bo", nil)
		for range 3 {
			r.sleep(bo.seconds("inactivity") - time.Second)
			bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK()
		}
	}},
	{"10 a session that was never used ends", func(r *xepRig) {
		s := r.create(nil)
		s.find(xepNSStreams, "features")
		r.sleep(s.seconds("inactivity") + 3*time.Second)
		s.wantGone()
	}},
	{"10 a request that is held is activity", func(r *xepRig) {
		bo := r.login("bo", nil)
		held := bo.send(nil, "")
		r.sleep(bo.seconds("inactivity") + 3*time.Second)
		held.wantHeld()
		bo.send(nil, xepMessage(bo.jid, "1"))
		held.wantNow().wantOK()
	}},
	{"10 inactivity begins with the last response", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"wait": "4"})
		bo.send(nil, "").answer().wantEmpty()
		r.sleep(bo.seconds("inactivity") - 500*time.Millisecond)
		bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK()
	}},
	{"10 a pause answers all requests at once", func(r *xepRig) {
		bo := r.login("bo", nil)
		if !bo.created.has("maxpause") {
			r.t.Skip("it has no pauses")
		}
		held := bo.send(nil, "").wantHeld()
		pause := bo.send(xepAttrs{"pause": bo.created.attr("inactivity")}, "")
		held.wantNow().wantEmpty()
		pause.wantNow().wantEmpty()
	}},
	{"10 a pause extends inactivity", func(r *xepRig) {
		bo := r.pausable()
		bo.send(xepAttrs{"pause": bo.created.attr("maxpause")}, "").wantNow().wantEmpty()
		r.sleep(bo.seconds("maxpause") - time.Second)
		bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK()
	}},
	{"10 the next request ends a pause", func(r *xepRig) {
		bo := r.pausable()
		bo.send(xepAttrs{"pause": bo.created.attr("maxpause")}, "").wantNow().wantEmpty()
		bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK()
		r.sleep(bo.seconds("inactivity") + 2*time.Second)
		bo.wantGone()
	}},
	{"10 a pause ends", func(r *xepRig) {
		bo := r.pausable()
		bo.send(xepAttrs{"pause": bo.created.attr("maxpause")}, "").wantNow().wantEmpty()
		r.sleep(bo.seconds("maxpause") + 3*time.Second)
		bo.wantGone()
	}},
	{"10 no pause is longer than maxpause", func(r *xepRig) {
		bo := r.pausable()
		bo.send(xepAttrs{"pause": "65535"}, "").answer()
		r.sleep(bo.seconds("maxpause") + 3*time.Second)
		bo.wantGone()
	}},
	{"10 a pause may be shorter than inactivity", func(r *xepRig) {
		bo := r.pausable()
		bo.send(xepAttrs{"pause": "1"}, "").wantNow().wantEmpty()
		r.sleep(2 * time.Second)
		bo.wantGone()
	}},
	{"10 the response to a pause has no payloads", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.pausable()
		ana.send(nil, xepMessage(bo.jid, "1"))
		r.settle()
		bo.send(xepAttrs{"pause": bo.created.attr("maxpause")}, "").wantNow().wantEmpty()
		bo.wantMessages("1")
	}},
	{"10 payloads that come within a pause wait", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.pausable()
		bo.send(xepAttrs{"pause": bo.created.attr("maxpause")}, "").wantNow().wantEmpty()
		ana.send(nil, xepMessage(bo.jid, "1"))
		r.settle()
		bo.wantMessages("1")
	}},
	{"10 a pause that is no number", func(r *xepRig) {
		for _, pause := range []string{"-1", "x", "", "99999999999999999999", "1e9"} {
			bo := r.pausable()
			if a := bo.send(xepAttrs{"pause": pause}, "").answer(); a.err != nil || a.status >= 500 {
				r.t.Errorf("pause %q: got %v, want an answer", pause, a)
			}
			r.sleep(bo.seconds("maxpause") + bo.seconds("inactivity") + 2*time.Second)
			bo.wantGone()
		}
	}},
}

func TestXEP0124Inactivity(t *testing.T) { xepTables(t, false, xepInactivity) }

// pausable makes a session of bo that can be paused.
func (r *xepRig) pausable() *xepSession {
	r.t.Helper()
	s := r.login("bo", xepAttrs{"wait": "2"})
	if !s.created.has("maxpause") {
		r.t.Skip("it has no pauses")
	}
	return s
}
