package bosh_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Acknowledgements.
// See XEP-0124, section 9.
var xepAcks = []xepRow{
	{"9.1 ack of the first response is the rid of its request", func(r *xepRig) {
		for _, asked := range []string{"1", xepAbsent} {
			a := r.create(xepAttrs{"ack": asked}).created
			if a.has("ack") && a.number("ack") != xepFirstRID {
				r.t.Errorf("got ack=%q, want %d", a.attr("ack"), xepFirstRID)
			}
		}
	}},
	{"9.1 ack is the highest rid that has come", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", xepAttrs{"ack": "1"})
		held := bo.send(nil, "").wantHeld()
		bo.send(nil, xepMessage(ana.jid, "1"))
		xepWantAck(bo, held.wantNow(), bo.rid)
	}},
	{"9.1 no ack that is the rid of the request itself", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"ack": "1"})
		a := bo.send(nil, xepMessage(bo.jid, "1")).answer().wantOK()
		if a.has("ack") {
			r.t.Errorf("got ack=%q, want none", a.attr("ack"))
		}
	}},
	{"9.1 ack counts no request above a gap", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", xepAttrs{"ack": "1", "hold": "2"})
		if bo.created.number("hold") < 2 {
			r.t.Skip("it holds one request")
		}
		held := bo.send(nil, "").wantHeld()
		bo.sendAt(bo.rid+2, nil, xepMessage(bo.jid, "1")).wantHeld()
		ana.send(nil, xepMessage(bo.jid, "2"))
		if a := held.answer().wantOK(); a.has("ack") && a.number("ack") != bo.rid {
			r.t.Errorf("got ack=%q, want none", a.attr("ack"))
		}
	}},
	{"9.2 a client that has got everything hears of nothing", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"ack": "1"})
		r.sleep(time.Second)
		held := bo.send(nil, "").wantHeld()
		bo.send(xepAttrs{"ack": strconv.Itoa(bo.rid - 1)}, xepMessage(bo.jid, "1"))
		if a := held.answer().wantOK(); a.has("report") || a.has("time") {
			r.t.Errorf("got %v, want no report", a)
		}
	}},
	{"9.2 a report names the first response that is missing", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"ack": "1"})
		r.sleep(time.Second)
		missing := bo.rid
		a := bo.send(xepAttrs{"ack": strconv.Itoa(missing - 1)}, xepMessage(bo.jid, "1")).answer().wantOK()
		if a.has("report") && (a.number("report") != missing || a.number("time") < 0) {
			r.t.Errorf("got report=%q and time=%q, want %d and milliseconds", a.attr("report"), a.attr("time"), missing)
		}
	}},
	{"14.3 responses without ack are kept", func(r *xepRig) {
		bo := r.login("bo", xepAttrs{"ack": "1"})
		if !bo.created.has("ack") {
			r.t.Skip("it has no acknowledgements")
		}
		known := strconv.Itoa(bo.rid)
		n := bo.created.number("requests") + 2
		var kept []*xepAnswer
		for i := range n {
			kept = append(kept, bo.send(xepAttrs{"ack": known}, xepMessage(bo.jid, fmt.Sprint(i))).answer().wantOK())
		}
		for i, want := range kept {
			if again := bo.sendAt(bo.rid-n+1+i, xepAttrs{"ack": known}, xepMessage(bo.jid, fmt.Sprint(i))).wantNow(); again.raw != want.raw {
				r.t.Errorf("got %v, want %v", again, want)
			}
		}
	}},
	{"9.2 ack that is no number of a request", func(r *xepRig) {
		ana := r.login("ana", nil)
		for _, ack := range []string{"", "x", "-1", "0", "1", "9007199254740991", "99999999999999999999"} {
			bo := r.login("bo", xepAttrs{"ack": "1"})
			if a := bo.send(xepAttrs{"ack": ack}, xepMessage(bo.jid, "1")).answer(); a.err != nil || a.status >= 500 {
				r.t.Errorf("ack %q: got %v, want an answer", ack, a)
			}
		}
		ana.send(nil, xepMessage(ana.jid, "1")).wantTexts("1")
	}},
}

func TestXEP0124Acknowledgements(t *testing.T) { xepTables(t, false, xepAcks) }

// xepWantAck wants an ack, if the server uses them.
func xepWantAck(s *xepSession, a *xepAnswer, rid int) {
	a.t.Helper()
	a.wantOK()
	if !s.created.has("ack") {
		if a.has("ack") {
			a.t.Errorf("got %v, want no ack as there was none in the first response", a)
		}
		return
	}
	if a.number("ack") != rid {
		a.t.Errorf("got ack=%q, want %d", a.attr("ack"), rid)
	}
}

// xepKeySequence returns K(1) to K(n).
// See XEP-0124, section 15.3.
func xepKeySequence(seed string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		sum := sha1.Sum([]byte(seed))
		seed = hex.EncodeToString(sum[:])
		keys[i] = seed
	}
	return keys
}

// protected makes a session of a user with a key sequence of n keys.
func (r *xepRig) protected(user string, n int) *xepSession {
	r.t.Helper()
	keys := xepKeySequence("seed of "+user, n)
	s := r.create(xepAttrs{"newkey": keys[n-1]})
	s.keys = keys[:n-1]
	s.authenticate(user)
	s.bind(xepBindIQ)
	return s
}

// Key sequences.
// See XEP-0124, section 15.
var xepKeys = []xepRow{
	{"15.4 the right keys", func(r *xepRig) {
		s := r.protected("ana", 30)
		s.send(nil, xepMessage(s.jid, "1")).wantTexts("1")
	}},
	{"15.3 keys in capitals", func(r *xepRig) {
		keys := make([]string, 10)
		for i, seed := 0, "seed"; i < len(keys); i++ {
			seed = strings.ToUpper(xepKeySequence(seed, 1)[0])
			keys[i] = seed
		}
		s := r.create(xepAttrs{"newkey": strings.ToLower(keys[9])})
		s.keys = keys[:9]
		s.authenticate("ana")
		s.bind(xepBindIQ)
	}},
	{"15.5 another sequence", func(r *xepRig) {
		s := r.protected("ana", 30)
		next := xepKeySequence("another seed", 10)
		s.send(xepAttrs{"newkey": next[9]}, xepMessage(s.jid, "1")).wantTexts("1")
		s.keys = next[:9]
		s.send(nil, xepMessage(s.jid, "2")).wantTexts("2")
		s.send(nil, xepMessage(s.jid, "3")).wantTexts("3")
	}},
	{"15.5 another sequence does not begin with a wrong key", func(r *xepRig) {
		s := r.protected("ana", 30)
		next := xepKeySequence("another seed", 10)
		s.keys = nil
		s.send(xepAttrs{"newkey": next[9], "key": next[8]}, "").wantNow().wantTerminate("item-not-found")
	}},
	{"15.4 a wrong key ends the session", func(r *xepRig) { xepWrongKey(r, xepAttrs{"key": "bfb06a6f113cd6fd3838ab9d300fdb4fe3da2f7d"}) }},
	{"15.4 a key that has been used", func(r *xepRig) { xepWrongKey(r, xepAttrs{"key": xepKeySequence("seed of ana", 30)[29]}) }},
	{"15.4 a key that is none", func(r *xepRig) { xepWrongKey(r, xepAttrs{"key": "x"}) }},
	{"15.4 an empty key", func(r *xepRig) { xepWrongKey(r, xepAttrs{"key": ""}) }},
	{"15.4 without a key", func(r *xepRig) { xepWrongKey(r, nil) }},
	{"15.4 terminate without a key", func(r *xepRig) { xepWrongKey(r, xepAttrs{"type": "terminate"}) }},
	{"14.3 a repeated request has the key that it had", func(r *xepRig) {
		s := r.protected("ana", 30)
		attrs := s.signed(nil)
		s.rid++
		first := s.sendAt(s.rid, attrs, xepMessage(s.jid, "1")).answer().wantOK()
		if again := s.sendAt(s.rid, attrs, xepMessage(s.jid, "1")).wantNow(); again.raw != first.raw {
			r.t.Errorf("got %v, want %v", again, first)
		}
		s.send(nil, xepMessage(s.jid, "2")).wantTexts("2")
	}},
	{"14.2 keys of requests in another order", func(r *xepRig) {
		s, bo := r.protected("ana", 30), r.login("bo", nil)
		first, second := s.signed(nil), s.signed(nil)
		s.sendAt(s.rid+2, second, xepMessage(bo.jid, "2")).wantHeld()
		s.sendAt(s.rid+1, first, xepMessage(bo.jid, "1")).wantNow().wantOK()
		bo.wantMessages("1", "2")
	}},
}

func TestXEP0124Keys(t *testing.T) { xepTables(t, false, xepKeys) }

// xepWrongKey sends a message with a key that is not the next one.
func xepWrongKey(r *xepRig, attrs xepAttrs) {
	r.t.Helper()
	s, bo := r.protected("ana", 30), r.login("bo", nil)
	left := s.keys
	s.keys = nil
	s.send(attrs, xepMessage(bo.jid, "never")).wantNow().wantTerminate("item-not-found")
	s.keys = left
	s.wantGone()
	bo.send(nil, xepMessage(bo.jid, "1")).wantTexts("1")
}

// What a server does that has one stream in a session.
// See XEP-0124, section 16.
var xepStreams = []xepRow{
	{"16.3 a request for another stream is an empty request", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		held := bo.send(xepAttrs{"to": r.domain, "xml:lang": "en"}, "").wantHeld()
		ana.send(nil, xepMessage(bo.jid, "1"))
		held.wantTexts("1")
	}},
	{"16.3 with attributes of a first request", func(r *xepRig) {
		ana, bo := r.login("ana", nil), r.login("bo", nil)
		held := bo.send(xepAttrs{"to": "unknown.example", "route": "xmpp:127.0.0.1:9", "from": "x@y", "xml:lang": "en", "ver": "1.10", "wait": "1", "hold": "0"}, "").wantHeld()
		ana.send(nil, xepMessage(bo.jid, "1"))
		held.wantTexts("1")
	}},
}

func TestXEP0124Streams(t *testing.T) { xepTables(t, false, xepStreams) }

// HTTP errors for clients that did not say ver, and for no others.
// See XEP-0124, section 17.1.
var xepLegacy = []xepRow{
	{"17.1 404 for a rid above the window", func(r *xepRig) {
		s := r.login("bo", xepAttrs{"ver": xepAbsent})
		s.sendAt(s.rid+50, nil, "").wantNow().wantStatus(404)
	}},
	{"17.1 404 for an answer that is kept no more", func(r *xepRig) {
		s := r.login("bo", xepAttrs{"ver": xepAbsent})
		for i := range s.created.number("requests") + 3 {
			s.send(nil, xepMessage(s.jid, strconv.Itoa(i))).answer().wantOK()
		}
		s.sendAt(xepFirstRID, nil, "").wantNow().wantStatus(404)
	}},
	{"17.1 404 for a wrong key", func(r *xepRig) {
		s := r.create(xepAttrs{"ver": xepAbsent, "newkey": xepKeySequence("seed", 9)[8]})
		s.send(xepAttrs{"key": "x"}, "").wantNow().wantStatus(404)
	}},
	{"17.1 403 for polling too often", func(r *xepRig) {
		s := r.create(xepAttrs{"ver": xepAbsent, "hold": "0", "wait": "0"})
		r.sleep(s.seconds("polling") + 100*time.Millisecond)
		s.find(xepNSStreams, "features")
		r.sleep(s.seconds("polling") + 100*time.Millisecond)
		s.send(nil, "").wantNow().wantEmpty()
		s.send(nil, "").wantNow().wantStatus(403)
	}},
	{"17.1 400 for a first rid that is no number", func(r *xepRig) {
		r.post("", xepWrapper(xepAttrs{"rid": "x", "to": r.domain}, "")).answer().wantStatus(400)
	}},
	{"17.1 400 for a rid that is no number", func(r *xepRig) {
		s := r.login("bo", xepAttrs{"ver": xepAbsent})
		s.send(xepAttrs{"rid": "x"}, "").wantNow().wantStatus(400)
	}},
	{"17.1 a new client gets 200 for a rid that is no number", func(r *xepRig) {
		s := r.login("bo", nil)
		s.send(xepAttrs{"rid": "x"}, "").wantNow().wantTerminate("bad-request")
	}},
	{"17.1 a new client gets 200 for a payload that is no XML", func(r *xepRig) {
		s := r.login("bo", nil)
		s.send(nil, "<message></iq>").wantNow().wantTerminate("bad-request")
	}},
	{"17.1 a new client gets 200", func(r *xepRig) {
		s := r.login("bo", nil)
		s.sendAt(s.rid+50, nil, "").wantNow().wantTerminate("item-not-found")
		s = r.create(xepAttrs{"newkey": xepKeySequence("seed", 9)[8]})
		s.send(xepAttrs{"key": "x"}, "").wantNow().wantTerminate("item-not-found")
	}},
	{"17.2 conditions without HTTP status are 200 for all", func(r *xepRig) {
		r.initiate(xepAttrs{"ver": xepAbsent, "to": "unknown.example"}).wantTerminate("host-unknown")
		r.initiate(xepAttrs{"ver": xepAbsent, "to": xepAbsent}).wantTerminate("improper-addressing")
	}},
}

func TestXEP0124LegacyClients(t *testing.T) { xepTables(t, false, xepLegacy) }

func (a *xepAnswer) wantStatus(want int) {
	a.t.Helper()
	if a.err != nil || a.status != want {
		a.t.Errorf("got %v, want status %d", a, want)
	}
}
