package bosh_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Requests that come in another order, again, or not in the window.
// See XEP-0124, section 14.
var xepRequestIDs = []xepRow{
	{"14.1 the largest first rid", func(r *xepRig) { r.create(xepAttrs{"rid": "9007199254740990"}) }},
	{"14.1 the smallest first rid", func(r *xepRig) { r.create(xepAttrs{"rid": "1"}) }},
	{"14.2 payloads are forwarded in the order of rid", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		second := ana.sendAt(ana.rid+2, nil, xepMessage(bo.jid, "2")).wantHeld()
		ana.send(nil, xepMessage(bo.jid, "1")).wantNow().wantOK()
		second.wantHeld()
		bo.wantMessages("1", "2")
	}},
	{"14.2 responses come in the order of rid", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"wait": "3"})
		second := bo.sendAt(bo.rid+2, nil, xepMessage(bo.jid, "2")).wantHeld()
		first := bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK().texts()
		if all := append(first, second.answer().wantOK().texts()...); fmt.Sprint(all) != "[1 2]" {
			r.t.Errorf("got messages %q, want 1 and 2", all)
		}
	}},
	{"8 a request that came too early does not wait for ever", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"wait": "2"})
		early := bo.sendAt(bo.rid+2, nil, "")
		r.sleep(bo.seconds("wait") + bo.seconds("inactivity") + 5*time.Second)
		if early.pending() {
			r.t.Error("the request is held for ever")
		}
	}},
	{"14.2 the last rid of the window", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.sendAt(bo.rid+bo.created.number("requests"), nil, xepMessage(bo.jid, "2")).wantHeld()
	}},
	{"14.2 a rid above the window ends the session", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.sendAt(bo.rid+bo.created.number("requests")+1, nil, "").wantNow().wantTerminate("item-not-found")
		bo.wantGone()
	}},
	{"14.2 a rid far above the window ends the session", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		bo.sendAt(0, xepAttrs{"rid": "9007199254740991"}, xepMessage(ana.jid, "never")).wantNow().wantTerminate("item-not-found")
		bo.wantGone()
		ana.wantUnreachable(bo.jid)
	}},
	{"14.2 payloads above the window are not forwarded", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		ana.sendAt(ana.rid+50, nil, xepMessage(bo.jid, "never")).wantNow().wantTerminate("item-not-found")
		bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
	}},
	{"17.2 requests that are held learn of the end", func(r *xepRig) {
		bo := r.login("bo", nil)
		held := bo.send(nil, "").wantHeld()
		bo.sendAt(bo.rid+50, nil, "").wantNow().wantTerminate("item-not-found")
		held.wantNow().wantTerminate()
	}},
	{"14.3 the same answer for the same rid", func(r *xepRig) {
		bo := r.login("bo", nil)
		first := bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK()
		again := bo.sendAt(bo.rid, nil, xepMessage(bo.jid, "1")).wantNow()
		if again.raw != first.raw || again.status != first.status {
			r.t.Errorf("got %v, want %v", again, first)
		}
	}},
	{"14.3 as many answers are kept as there may be requests", func(r *xepRig) {
		bo := r.login("bo", nil)
		var kept []*xepAnswer
		n := bo.created.number("requests")
		for i := range n {
			kept = append(kept, bo.send(nil, xepMessage(bo.jid, fmt.Sprint(i))).answer().wantOK())
		}
		for i, want := range kept {
			again := bo.sendAt(bo.rid-n+1+i, nil, xepMessage(bo.jid, fmt.Sprint(i))).wantNow()
			if again.raw != want.raw {
				r.t.Errorf("got %v, want %v", again, want)
			}
		}
	}},
	{"14.3 the same answer again and again", func(r *xepRig) {
		bo := r.login("bo", nil)
		first := bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK()
		for range 3 {
			if again := bo.sendAt(bo.rid, nil, xepMessage(bo.jid, "1")).wantNow(); again.raw != first.raw {
				r.t.Errorf("got %v, want %v", again, first)
			}
		}
		bo.send(nil, xepMessage(bo.jid, "2")).wantTexts("2")
	}},
	{"14.3 the payload of a repeated request is not forwarded again", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		ana.send(nil, xepMessage(bo.jid, "1"))
		r.settle()
		ana.sendAt(ana.rid, nil, xepMessage(bo.jid, "1"))
		r.settle()
		ana.send(nil, xepMessage(bo.jid, "2"))
		r.settle()
		bo.wantMessages("1", "2")
	}},
	{"14.3 a repeated request takes the place of the one that is held", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		held := bo.send(nil, "").wantHeld()
		again := bo.sendAt(bo.rid, nil, "")
		held.wantNow().wantRecoverable()
		again.wantHeld()
		ana.send(nil, xepMessage(bo.jid, "1"))
		again.wantTexts("1")
	}},
	{"14.3 a request that came too early is repeated", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		early := ana.sendAt(ana.rid+2, nil, xepMessage(bo.jid, "2")).wantHeld()
		again := ana.sendAt(ana.rid+2, nil, xepMessage(bo.jid, "2"))
		early.wantNow().wantRecoverable()
		again.wantHeld()
		ana.send(nil, xepMessage(bo.jid, "1")).wantNow().wantOK()
		bo.wantMessages("1", "2")
	}},
	{"14.3 a broken connection loses nothing", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		bo.send(nil, "").wantHeld().hangUp()
		ana.send(nil, xepMessage(bo.jid, "1"))
		r.settle()
		bo.sendAt(bo.rid, nil, "").wantTexts("1")
		bo.send(nil, xepMessage(bo.jid, "2")).wantTexts("2")
	}},
	{"14.3 a broken connection and then the next request", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		bo.send(nil, "").wantHeld().hangUp()
		ana.send(nil, xepMessage(bo.jid, "1"))
		r.settle()
		next := bo.send(nil, xepMessage(ana.jid, "2"))
		again := bo.sendAt(bo.rid-1, nil, "").answer().wantOK().texts()
		if len(again) == 0 {
			again = next.answer().wantOK().texts()
		}
		if fmt.Sprint(again) != "[1]" {
			r.t.Errorf("got messages %q, want 1", again)
		}
	}},
	{"14.3 an answer that is kept no more", func(r *xepRig) {
		bo := r.login("bo", nil)
		for i := range bo.created.number("requests") + 5 {
			bo.send(nil, xepMessage(bo.jid, fmt.Sprint(i))).answer().wantOK()
		}
		bo.sendAt(xepFirstRID, nil, "").wantNow().wantTerminate("item-not-found")
	}},
	{"14.3 a rid below all", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.sendAt(1, nil, "").wantNow().wantTerminate("item-not-found")
	}},
	{"14.3 the first response, again", func(r *xepRig) {
		s := r.create(nil)
		a := s.sendAt(xepFirstRID, nil, "").wantNow()
		if a.wantWrapper(); !a.isError() && a.raw != s.created.raw {
			r.t.Errorf("got %v, want %v or an error", a, s.created)
		}
	}},
	{"17.2 a sid that does not exist", func(r *xepRig) {
		s := r.create(nil)
		for _, sid := range []string{"nobody", s.sid + "x", s.sid[1:]} {
			other := &xepSession{r: r, sid: sid, rid: s.rid}
			other.wantGone()
		}
		s.find(xepNSStreams, "features")
		s.send(nil, xepPlain("ana", "wrong")).answer().wantOK()
	}},
	{"14.3 a stranger with a wrong sid does no harm", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		(&xepSession{r: r, sid: bo.sid + "x", rid: bo.rid}).send(xepAttrs{"type": "terminate"}, "").wantNow().wantError(http.StatusNotFound, "item-not-found")
		bo.send(nil, xepMessage(ana.jid, "1"))
		ana.wantMessages("1")
	}},
}

func TestXEP0124RequestIDs(t *testing.T) { xepTables(t, false, xepRequestIDs) }

// wantRecoverable wants a recoverable binding condition.
func (a *xepAnswer) wantRecoverable() {
	a.t.Helper()
	if a.wantWrapper(); a.attr("type") != "error" {
		a.t.Errorf("got %v, want type='error'", a)
	}
}

// Values that are no rid, in the first request and in later ones.
// See XEP-0124, sections 6 and 14.1.
func TestXEP0124WrongRequestIDs(t *testing.T) {
	var rows []xepRow
	for _, rid := range []string{"0", "9007199254740992", "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551617", "99999999999999999999999999"} {
		rows = append(rows, xepRow{"14.1 first rid that no client may choose: " + rid, func(r *xepRig) {
			if a := r.initiate(xepAttrs{"rid": rid}); a.err != nil || a.status >= 500 {
				r.t.Errorf("got %v, want an answer", a)
			} else if a.isError() {
				a.wantTerminate("bad-request")
			}
		}}, xepLaterRID(rid))
	}
	for _, rid := range []string{xepAbsent, "", "-1", "-9007199254740991", "x", "1.5", "1e9", "0x10"} {
		rows = append(rows, xepRow{"14.1 first rid " + rid, func(r *xepRig) {
			r.initiate(xepAttrs{"rid": rid}).wantTerminate("bad-request")
		}}, xepLaterRID(rid))
	}
	xepTables(t, false, rows)
}

// xepLaterRID is a request of a session whose rid is none.
func xepLaterRID(rid string) xepRow {
	return xepRow{"14.1 later rid " + rid, func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		a := ana.sendAt(0, xepAttrs{"rid": rid}, xepMessage(bo.jid, "never")).wantNow()
		if a.err != nil || !a.isError() || a.status >= 500 {
			r.t.Errorf("got %v, want an error", a)
		}
		bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
	}}
}

// Clients that ask too often.
// See XEP-0124, sections 11 and 12.
var xepActivity = []xepRow{
	{"11 payloads may come as fast as answers do", func(r *xepRig) {
		bo := r.login("bo", nil)
		for i := range 10 {
			bo.send(nil, xepMessage(bo.jid, fmt.Sprint(i))).wantTexts(fmt.Sprint(i))
		}
	}},
	{"11 payloads may come while a request is held", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		held := ana.send(nil, "").wantHeld()
		for i := range 5 {
			next := ana.send(nil, xepMessage(bo.jid, fmt.Sprint(i)))
			held.wantNow().wantEmpty()
			held = next
		}
		bo.wantMessages("0", "1", "2", "3", "4")
	}},
	{"11 empty requests at once are too many", func(r *xepRig) {
		bo := r.login("bo", nil)
		bo.send(nil, "").wantHeld()
		if bo.created.number("polling") < 1 || bo.created.number("requests") != 2 {
			r.t.Skip("it allows that")
		}
		bo.send(nil, "").wantNow().wantTerminate("policy-violation")
		bo.wantGone()
	}},
	{"11 an empty request after polling is not too early", func(r *xepRig) {
		bo := r.login("bo", nil)
		first := bo.send(nil, "").wantHeld()
		r.sleep(bo.seconds("polling") + 500*time.Millisecond)
		second := bo.send(nil, "")
		first.wantNow().wantEmpty()
		second.wantHeld()
	}},
	{"2 a request whose connection broke is not one too many", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		bo.send(nil, "").wantHeld().hangUp()
		held := bo.send(nil, "").wantHeld() // as a page does that is loaded again
		ana.send(nil, xepMessage(bo.jid, "1"))
		held.wantTexts("1")
	}},
	{"11 a pause may come at once", func(r *xepRig) {
		bo := r.pausable()
		held := bo.send(nil, "").wantHeld()
		pause := bo.send(xepAttrs{"pause": "2"}, "")
		held.wantNow().wantEmpty()
		pause.wantNow().wantEmpty()
	}},
	{"11 a repeated request may come at once", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		bo.send(nil, "").wantHeld()
		again := bo.sendAt(bo.rid, nil, "").wantHeld()
		ana.send(nil, xepMessage(bo.jid, "1"))
		again.wantTexts("1")
	}},
}

func TestXEP0124Overactivity(t *testing.T) { xepTables(t, false, xepActivity) }

// Sessions of clients that never wait.
// See XEP-0124, section 12.
func TestXEP0124Polling(t *testing.T) {
	var rows []xepRow
	for name, attrs := range map[string]xepAttrs{"wait 0": {"wait": "0"}, "hold 0": {"hold": "0"}, "wait and hold 0": {"wait": "0", "hold": "0"}} {
		rows = append(rows,
			xepRow{"12 " + name + ", no request is held", func(r *xepRig) {
				s := r.polling(attrs)
				s.send(nil, "").wantNow().wantEmpty()
			}},
			xepRow{"12 " + name + ", polling too often", func(r *xepRig) {
				s := r.polling(attrs)
				s.send(nil, "").wantNow().wantEmpty()
				s.send(nil, "").wantNow().wantTerminate("policy-violation")
				s.wantGone()
			}},
			xepRow{"12 " + name + ", polling as often as allowed", func(r *xepRig) {
				s := r.polling(attrs)
				for range 3 {
					s.send(nil, "").wantNow().wantEmpty()
					r.sleep(s.seconds("polling") + 100*time.Millisecond)
				}
			}},
			xepRow{"12 " + name + ", at once after a payload", func(r *xepRig) {
				s := r.polling(attrs)
				other := r.login("ana", nil)
				other.send(nil, xepMessage(s.jid, "1"))
				r.settle()
				s.send(nil, "").wantTexts("1")
				s.send(nil, "").wantNow().wantEmpty()
			}},
			xepRow{"12 " + name + ", a repeated request", func(r *xepRig) {
				s := r.polling(attrs)
				first := s.send(nil, "").wantNow().wantEmpty()
				if again := s.sendAt(s.rid, nil, "").wantNow(); again.raw != first.raw {
					r.t.Errorf("got %v, want %v", again, first)
				}
			}},
			xepRow{"12 " + name + ", requests with payloads", func(r *xepRig) {
				s := r.polling(attrs)
				other := r.login("ana", nil)
				for i := range 3 {
					s.send(nil, xepMessage(other.jid, fmt.Sprint(i))).wantNow().wantEmpty()
				}
				other.wantMessages("0", "1", "2")
			}},
			xepRow{"12 " + name + ", inactivity is longer than polling", func(r *xepRig) {
				usual, s := r.create(nil), r.create(attrs)
				if s.seconds("inactivity") <= usual.seconds("inactivity")+s.seconds("polling") {
					r.t.Errorf("got inactivity=%v, want more than %v and %v", s.seconds("inactivity"), usual.seconds("inactivity"), s.seconds("polling"))
				}
			}})
	}
	xepTables(t, false, rows)
}

// polling makes a session of bo that polls.
func (r *xepRig) polling(attrs xepAttrs) *xepSession {
	r.t.Helper()
	s := r.create(attrs)
	pause := func() { r.sleep(s.seconds("polling") + 100*time.Millisecond) }
	poll := func(space, local string) {
		r.t.Helper()
		for range 3 {
			if s.seen.child(space, local) != nil {
				return
			}
			pause()
			s.seen = s.send(nil, "").answer().wantOK().body
		}
		r.t.Fatalf("no <%s/>", local)
	}
	for _, step := range []struct {
		attrs                 xepAttrs
		payload, space, local string
	}{
		{nil, xepPlain("bo", "anchor"), xepNSSASL, "success"},
		{xepAttrs{"xmpp:restart": "true", "to": r.domain}, "", xepNSStreams, "features"},
		{nil, xepBindIQ, xepNSClient, "iq"},
	} {
		s.seen = s.send(step.attrs, step.payload).answer().wantOK().body
		poll(step.space, step.local)
	}
	jid := s.seen.child(xepNSClient, "iq").child(xepNSSession, "bind").child(xepNSSession, "jid")
	if jid == nil {
		r.t.Fatal("got no jid")
	}
	s.jid = jid.Text
	pause()
	return s
}
