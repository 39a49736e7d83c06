package websocket_test

import (
	"fmt"
	"strings"
	"testing"
)

// A client that closes the connection gets a close frame and then the end; what it sends
// behind its own is not looked at.
// See RFC 6455, sections 5.5.1, 7.1.2 and 7.1.3.
func TestClosing(t *testing.T) {
	s := newSite(t)
	bo := s.login(t, "bo")
	long := strings.Repeat("ß", 61)
	rows := []struct {
		name  string
		frame frame
		codes []int
	}{
		{"5.5.1 without a status", frame{op: opClose}, []int{1005, 1000}},
		{"5.5.1 1000", goodbye(1000, ""), []int{1000}},
		{"5.5.1 1000 with a reason", goodbye(1000, "done"), []int{1000}},
		{"5.5.1 a reason as long as can be", goodbye(1000, long), []int{1000}},
		{"7.4.1 1001, of a page that is left", goodbye(1001, ""), []int{1001}},
		{"7.4.1 1002", goodbye(1002, ""), []int{1002}},
		{"7.4.1 1003", goodbye(1003, ""), []int{1003}},
		{"7.4.1 1007", goodbye(1007, ""), []int{1007}},
		{"7.4.1 1008", goodbye(1008, ""), []int{1008}},
		{"7.4.1 1009", goodbye(1009, ""), []int{1009}},
		{"7.4.1 1011", goodbye(1011, ""), []int{1011}},
	}
	for _, row := range rows {
		for _, when := range []string{"in a session", "before the stream", "behind half a message"} {
			t.Run(row.name+" "+when, func(t *testing.T) {
				var w *wire
				switch when {
				case "before the stream":
					w = s.upgraded(t)
				default:
					w = s.login(t, "ana")
				}
				if when == "behind half a message" {
					w.send(frame{op: opText, more: true, payload: "<message "})
				}
				w.send(row.frame, text(message(bo.jid, "dropped")), ping("not answered"))
				w.checkClose(w.next(), row.codes...)
				w.wantEOF()
				bo.t = t
				bo.wantAlive()
			})
		}
	}
	// Codes for applications, which a server has no reason to send of its own.
	for _, code := range []uint16{1010, 3000, 3999, 4000, 4999} {
		t.Run(fmt.Sprintf("7.4.2 %d", code), func(t *testing.T) {
			w := s.login(t, "ana")
			w.send(goodbye(code, "x"))
			if f := w.next(); f.op != opClose || f.status() != int(code) && f.status() != 1000 {
				t.Errorf("got opcode %d with %q, want a close frame", f.op, f.payload)
			}
			w.wantEOF()
		})
	}
}

// Close frames that nobody may send. See RFC 6455, sections 5.5.1, 7.4.1, 7.4.2 and 8.1.
func TestClosingFails(t *testing.T) {
	rows := []failure{
		{"5.5.1 half a status", protocol, []frame{{op: opClose, payload: "\x03"}}},
		{"8.1 a reason that is no UTF-8", []int{1007, 1002}, []frame{goodbye(1000, "\xff\xfe")}},
		{"8.1 a reason that is cut off", []int{1007, 1002}, []frame{goodbye(1000, "\xe2\x82")}},
	}
	for _, code := range []uint16{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535} {
		rows = append(rows, failure{fmt.Sprintf("7.4 %d", code), protocol, []frame{goodbye(code, "")}})
	}
	newSite(t).run(t, rows)
}

// The server closes the connection: first a close frame, and the end when the client's
// has come, or does not come.
func TestClosingByServer(t *testing.T) {
	t.Run("7.4.1 1001 at the shutdown", func(t *testing.T) {
		s := newSite(t)
		w := s.login(t, "ana")
		x := s.upgraded(t) // without a stream
		s.stop(errEnd)
		w.wantError("system-shutdown")
		w.want(nsFraming, "close")
		w.say("<close xmlns='" + nsFraming + "'/>")
		w.wantClose(1001)
		x.wantClose(1001) // and nothing before: see RFC 7395, section 3.4
	})
	t.Run("7.4.1 1001 at the shutdown, between two streams", func(t *testing.T) {
		s := newSite(t)
		w := s.opened(t)
		w.say(plain("ana", "anchor"))
		w.want(nsSASL, "success")
		w.send(ping("")) // what is answered while the server waits for the next header
		w.wantPong("")
		s.stop(errEnd)
		w.wantClose(1001) // there is no stream to close: see RFC 7395, section 3.7
	})
	t.Run("7.1.2 the client's close frame crosses the server's", func(t *testing.T) {
		s := newSite(t)
		w := s.login(t, "ana")
		w.send(text("<close xmlns='"+nsFraming+"'/>"), goodbye(1000, ""))
		w.want(nsFraming, "close")
		w.checkClose(w.next(), 1000)
		w.wantEOF()
	})
	t.Run("7.1.1 the client does not answer", func(t *testing.T) {
		s := newSite(t)
		w := s.login(t, "ana")
		w.say("<close xmlns='" + nsFraming + "'/>")
		w.want(nsFraming, "close")
		w.checkClose(w.next(), 1000)
		w.wantEOF()
	})
	t.Run("5.5.1 the client goes on and does not answer", func(t *testing.T) {
		s := newSite(t)
		bo, w := s.login(t, "bo"), s.login(t, "ana")
		w.say("<close xmlns='" + nsFraming + "'/>")
		w.want(nsFraming, "close")
		w.checkClose(w.next(), 1000)
		for range 100 {
			w.say(message(bo.jid, "dropped"))
		}
		w.send(goodbye(1000, ""))
		w.wantEOF()
		bo.wantAlive()
	})
}
