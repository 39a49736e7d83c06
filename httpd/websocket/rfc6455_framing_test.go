package websocket_test

import (
	"fmt"
	"strings"
	"testing"
)

// failure is a row of frames at which the connection fails.
type failure struct {
	name   string
	codes  []int // that fit; see RFC 6455, section 7.4.1
	frames []frame
}

// protocol is the status code for what is against the protocol, inconsistent that for text
// that is none.
var protocol, inconsistent = []int{1002}, []int{1007}

// run sends the frames of each row in the middle of a session, with a message behind them,
// and wants the connection closed and the message dropped.
// See RFC 6455, section 7.1.7.
func (s *site) run(t *testing.T, rows []failure) {
	bo := s.login(t, "bo")
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := s.login(t, "ana")
			w.send(append(row.frames, text(message(bo.jid, "dropped")))...)
			w.wantFailure(row.codes...)
			bo.t = t
			bo.wantAlive()
		})
	}
}

func TestFramingFails(t *testing.T) {
	rows := []failure{
		{"5.1 text without mask", protocol, []frame{{op: opText, bare: true, payload: "<a xmlns='b:'/>"}}},
		{"5.1 ping without mask", protocol, []frame{{op: opPing, bare: true}}},
		{"5.1 close without mask", protocol, []frame{{op: opClose, bare: true, payload: "\x03\xe8"}}},
		{"5.1 continuation without mask", protocol, []frame{{op: opText, more: true, payload: "<a xmlns='b:'"}, {bare: true, payload: "/>"}}},
		{"5.2 payload length: 124 in two bytes", protocol, []frame{{op: opPing, width: 2, payload: strings.Repeat("x", 124)}}},
		{"5.2 payload length: text of 100 in two bytes", protocol, []frame{{op: opText, width: 2, payload: message("a.test/"+strings.Repeat("x", 20), "1")}}},
		{"5.2 payload length: text of 100 in eight bytes", protocol, []frame{{op: opText, width: 8, payload: message("a.test/"+strings.Repeat("x", 20), "1")}}},
		{"5.2 payload length: text of 1000 in eight bytes", protocol, []frame{{op: opText, width: 8, payload: message("a.test/"+strings.Repeat("x", 920), "1")}}},
		{"5.2 payload length: the top bit", []int{1002, 1009}, []frame{{op: opText, width: 8, announce: 1<<63 | 5, payload: "12345"}}},
		{"5.2 payload length: all bits", []int{1002, 1009}, []frame{{op: opText, width: 8, announce: 1<<64 - 1, payload: "12345"}}},
		{"5.2 payload length: the top bit of a ping", protocol, []frame{{op: opPing, width: 8, announce: 1<<63 | 5, payload: "12345"}}},
		{"5.4 a continuation of nothing", protocol, []frame{{payload: "<a xmlns='b:'/>"}}},
		{"5.4 a continuation of nothing that goes on", protocol, []frame{{more: true, payload: "<a xmlns='b:'/>"}}},
		{"5.4 a continuation behind the end", protocol, append(fragments("<presence xmlns='jabber:client' to='ghost@a.test'", "/>"), frame{payload: "x"})},
		{"5.4 text within a message", protocol, []frame{{op: opText, more: true, payload: "<a xmlns='b:'"}, text("/>")}},
		{"5.4 the start of text within a message", protocol, []frame{{op: opText, more: true, payload: "<a xmlns='b:'"}, {op: opText, more: true, payload: "/>"}}},
		{"5.4 binary within text", protocol, []frame{{op: opText, more: true, payload: "<a xmlns='b:'"}, {op: opBinary, payload: "/>"}}},
		{"5.5 a ping in fragments", protocol, []frame{{op: opPing, more: true, payload: "a"}, {payload: "b"}}},
		{"5.5 a pong in fragments", protocol, []frame{{op: opPong, more: true, payload: "a"}, {payload: "b"}}},
		{"5.5 a close in fragments", protocol, []frame{{op: opClose, more: true, payload: "\x03\xe8"}, {payload: "b"}}},
		{"5.5 a ping of 126 bytes", protocol, []frame{ping(strings.Repeat("x", 126))}},
		{"5.5 a pong of 126 bytes", protocol, []frame{{op: opPong, payload: strings.Repeat("x", 126)}}},
		{"5.5 a close of 126 bytes", protocol, []frame{goodbye(1000, strings.Repeat("x", 124))}},
		{"5.5 a ping of 65536 bytes", protocol, []frame{ping(strings.Repeat("x", 65536))}},
	}
	for op := byte(3); op < 16; op++ {
		if op < opClose || op > opPong {
			rows = append(rows,
				failure{fmt.Sprintf("5.2 opcode %X", op), protocol, []frame{{op: op, payload: "<a xmlns='b:'/>"}}},
				failure{fmt.Sprintf("5.2 opcode %X, empty", op), protocol, []frame{{op: op}}},
				failure{fmt.Sprintf("5.2 opcode %X within a message", op), protocol, []frame{{op: opText, more: true, payload: "<a"}, {op: op}}})
		}
	}
	for rsv := byte(1); rsv < 8; rsv++ {
		rows = append(rows,
			failure{fmt.Sprintf("5.2 RSV %03b of text", rsv), protocol, []frame{{op: opText, rsv: rsv, payload: "<a xmlns='b:'/>"}}},
			failure{fmt.Sprintf("5.2 RSV %03b of a continuation", rsv), protocol, []frame{{op: opText, more: true, payload: "<a xmlns="}, {rsv: rsv, payload: "'b:'/>"}}},
			failure{fmt.Sprintf("5.2 RSV %03b of a ping", rsv), protocol, []frame{{op: opPing, rsv: rsv}}},
			failure{fmt.Sprintf("5.2 RSV %03b of a pong", rsv), protocol, []frame{{op: opPong, rsv: rsv}}},
			failure{fmt.Sprintf("5.2 RSV %03b of a close", rsv), protocol, []frame{{op: opClose, rsv: rsv, payload: "\x03\xe8"}}})
	}
	newSite(t).run(t, rows)
}

// Text that is no UTF-8 fails the connection, wherever it stands and however it is cut.
// See RFC 6455, section 8.1, and RFC 3629, sections 3 and 4.
func TestFramingUTF8(t *testing.T) {
	const head, tail = "<message xmlns='jabber:client' to='ghost@a.test'><body>", "</body></message>"
	rows := []failure{
		{"8.1 cut off at the end", inconsistent, []frame{text(head + tail + "\xe2\x82")}},
		{"8.1 cut off at the end of the last fragment", inconsistent, fragments(head, tail, "\xf0\x9f\x98")},
		{"8.1 a character between messages", inconsistent, []frame{text(head + tail + "\xe2\x82"), text("\xac")}},
	}
	for _, bad := range []struct{ name, bytes string }{
		{"a continuation byte", "\x80"},
		{"a start byte alone", "\xe2"},
		{"FE", "\xfe"},
		{"FF", "\xff"},
		{"too long for /", "\xc0\xaf"},
		{"too long for /, three bytes", "\xe0\x80\xaf"},
		{"too long for /, four bytes", "\xf0\x80\x80\xaf"},
		{"too long for NUL", "\xc0\x80"},
		{"too long for U+07FF", "\xe0\x9f\xbf"},
		{"too long for U+FFFF", "\xf0\x8f\xbf\xbf"},
		{"a surrogate", "\xed\xa0\x80"},
		{"the last surrogate", "\xed\xbf\xbf"},
		{"a pair of surrogates", "\xed\xa0\xbd\xed\xb8\x80"},
		{"U+110000", "\xf4\x90\x80\x80"},
		{"five bytes", "\xf8\x88\x80\x80\x80"},
		{"six bytes", "\xfc\x84\x80\x80\x80\x80"},
		{"cut off within", "\xe2\x82"},
		{"ISO 8859-1", "caf\xe9 "},
	} {
		rows = append(rows,
			failure{"8.1 " + bad.name, inconsistent, []frame{text(head + bad.bytes + tail)}},
			failure{"8.1 " + bad.name + ", each byte a fragment", inconsistent, fragments(strings.Split(head+tail[:3]+bad.bytes+tail, "")...)},
			failure{"8.1 " + bad.name + ", a ping in between", inconsistent, []frame{
				{op: opText, more: true, payload: head + bad.bytes[:1]}, {op: opPong}, {payload: bad.bytes[1:] + tail}}})
	}
	newSite(t).run(t, rows)
}

// plays has a session, each row of which ends with it alive.
type plays struct {
	t *testing.T
	w *wire
}

func (s *site) plays(t *testing.T) plays { return plays{t, s.login(t, "ana")} }

func (p plays) row(name string, play func(w *wire)) {
	p.t.Helper()
	p.t.Run(name, func(t *testing.T) {
		p.w.t = t
		play(p.w)
		p.w.wantAlive()
	})
}

// Messages of all lengths. See RFC 6455, section 5.2.
func TestFramingLengths(t *testing.T) {
	p := newSite(t).plays(t)
	sized := func(w *wire, n int) string { // or as short as can be
		m := message(w.jid, "1")
		return strings.Replace(m, "text", strings.Repeat("x", max(n-len(m)+4, 0)), 1)
	}
	for _, n := range []int{125, 126, 127, 128, 65535, 65536, 65537, 200000} {
		p.row(fmt.Sprintf("5.2 payload length %d", n), func(w *wire) {
			w.say(sized(w, n))
			w.wantMessage("1")
		})
		p.row(fmt.Sprintf("5.4 payload length %d in two", n), func(w *wire) {
			m := sized(w, n)
			w.send(fragments(m[:len(m)/2], m[len(m)/2:])...)
			w.wantMessage("1")
		})
	}
	for _, n := range []int{124, 125} { // what is shorter than a message to oneself
		p.row(fmt.Sprintf("5.2 payload length %d of a ping", n), func(w *wire) {
			w.send(ping(strings.Repeat("x", n)))
			w.wantPong(strings.Repeat("x", n))
		})
	}
	p.row("5.2 payload length 125 of a text", func(w *wire) {
		head, tail := "<iq xmlns='jabber:client' type='get' id='1'><a", " xmlns='a:'/></iq>"
		w.say(head + strings.Repeat("a", 125-len(head)-len(tail)) + tail)
		w.want(nsClient, "iq")
	})
}

// Messages in pieces. See RFC 6455, sections 5.3 and 5.4.
func TestFramingFragments(t *testing.T) {
	p := newSite(t).plays(t)
	p.row("5.3 a mask of zeros", func(w *wire) {
		w.send(frame{op: opText, zero: true, payload: message(w.jid, "1")})
		w.wantMessage("1")
	})
	p.row("5.4 each byte a fragment", func(w *wire) {
		w.send(fragments(strings.Split(message(w.jid, "1"), "")...)...)
		w.wantMessage("1")
	})
	p.row("5.4 empty fragments", func(w *wire) {
		w.send(fragments("", "", message(w.jid, "1"), "", "")...)
		w.wantMessage("1")
	})
	p.row("5.4 each byte a segment", func(w *wire) {
		for _, b := range text(message(w.jid, "1")).appendTo(nil) {
			w.write([]byte{b})
		}
		w.wantMessage("1")
	})
	p.row("5.4 messages in order in one segment", func(w *wire) {
		var fs []frame
		for i := range 100 {
			m := message(w.jid, fmt.Sprint(i))
			fs = append(fs, fragments(m[:i%50], m[i%50:])...)
		}
		w.send(fs...)
		for i := range 100 {
			w.wantMessage(fmt.Sprint(i))
		}
	})
	p.row("5.4 a ping within a message", func(w *wire) {
		m := message(w.jid, "1")
		w.send(frame{op: opText, more: true, payload: m[:9]}, ping("now"))
		w.wantPong("now")
		w.send(frame{more: true, payload: m[9:20]}, frame{op: opPong}, ping(""), frame{payload: m[20:]})
		w.wantPong("")
		w.wantMessage("1")
	})
}

// Pings and pongs. See RFC 6455, sections 5.5.2 and 5.5.3.
func TestFramingControls(t *testing.T) {
	p := newSite(t).plays(t)
	p.row("5.5.2 a ping", func(w *wire) { w.send(ping("")); w.wantPong("") })
	p.row("5.5.3 a ping of what is no text", func(w *wire) {
		const noText = "\x00\xff\xc0<\xe2\x82"
		w.send(ping(noText))
		w.wantPong(noText)
	})
	p.row("5.5.3 pings, one after the other", func(w *wire) {
		for _, p := range []string{"a", "b", "c"} {
			w.send(ping(p))
			w.wantPong(p)
		}
	})
	p.row("5.5.3 pings at once: at least the last is answered", func(w *wire) {
		w.send(ping("a"), ping("b"), ping("c"))
		for last := ""; last != "c"; {
			f := w.next()
			if f.op != opPong || f.payload <= last || f.payload > "c" {
				w.t.Fatalf("got opcode %d with %q after %q, want a pong with a later one", f.op, f.payload, last)
			}
			last = f.payload
		}
	})
	p.row("5.5.3 pongs that nobody asked for", func(w *wire) {
		w.send(frame{op: opPong}, frame{op: opPong, payload: strings.Repeat("\xff", 125)})
	})
}

// Characters of all lengths, however they are cut. See RFC 6455, section 5.6.
func TestFramingText(t *testing.T) {
	p := newSite(t).plays(t)
	for _, c := range []struct{ name, body string }{
		{"two bytes", "\u0080 \u07ff"},
		{"three bytes", "\u0800 \ud7ff \ue000 \ufffd"},
		{"four bytes", "\U00010000 \U0001f600 \U0010fffd"},
		{"a greeting", "Καλημέρα κόσμε"},
	} {
		check := func(w *wire) {
			w.t.Helper()
			if got := w.wantMessage("1").child("body").text; got != c.body {
				w.t.Errorf("got %q, want %q", got, c.body)
			}
		}
		p.row("5.6 "+c.name, func(w *wire) {
			w.say(strings.Replace(message(w.jid, "1"), "text", c.body, 1))
			check(w)
		})
		p.row("5.6 "+c.name+", each byte a fragment, a pong behind each", func(w *wire) {
			w.send(cut(strings.Replace(message(w.jid, "1"), "text", c.body, 1))...)
			check(w)
		})
	}
}

// cut makes of a message a fragment for each of its bytes, with pongs in between.
func cut(message string) []frame {
	fs := []frame{{op: opText, more: true}}
	for i := range len(message) {
		fs = append(fs, frame{payload: message[i : i+1], more: i < len(message)-1}, frame{op: opPong})
	}
	return fs
}
