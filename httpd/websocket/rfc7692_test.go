package websocket_test

import (
	"compress/flate"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tidewaiter/tidewaiter/httpd/websocket"
)

// What is agreed on. No side refers to earlier messages.
// See RFC 7692, sections 5 and 7.1.
func TestDeflateHandshake(t *testing.T) {
	const both = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
	s := deflating(t)
	for _, row := range []struct{ name, offer, want string }{
		{"7.1.3 the simplest offer", "permessage-deflate", both},
		{"5 no offer", "", ""},
		{"5 other extensions", "x-webkit-deflate-frame, permessage-bzip2, permessage-deflated", ""},
		{"5 among others", "mux; max-channels=4, permessage-deflate", both},
		{"7.1.1.1 server_no_context_takeover", "permessage-deflate; server_no_context_takeover", both},
		{"7.1.1.2 client_no_context_takeover", "permessage-deflate;client_no_context_takeover", both},
		{"7.1.2.2 client_max_window_bits, as browsers write it", "permessage-deflate; client_max_window_bits", both},
		{"7.1.2.2 client_max_window_bits with a value", "permessage-deflate; client_max_window_bits=10", both},
		{"7.1.2.2 client_max_window_bits in quotes", `permessage-deflate; client_max_window_bits="10"`, both},
		{"7.1.2.1 a window that we have", "permessage-deflate; server_max_window_bits=15", both + "; server_max_window_bits=15"},
		{"7.1.2.1 a window that we have not", "permessage-deflate; server_max_window_bits=10", ""},
		{"7.1.3 the second offer", "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits", both},
		{"7 a parameter that nobody knows", "permessage-deflate; level=9", ""},
		{"7 a parameter twice", "permessage-deflate; client_max_window_bits; client_max_window_bits=9", ""},
		{"7 a value where there is none", "permessage-deflate; server_no_context_takeover=1", ""},
		{"7 a value where there is none, the client's", "permessage-deflate; client_no_context_takeover=true", ""},
		{"7.1.2.1 no value", "permessage-deflate; server_max_window_bits", ""},
		{"7.1.2.2 a window that is too small", "permessage-deflate; client_max_window_bits=7", ""},
		{"7.1.2.2 a window that is too large", "permessage-deflate; client_max_window_bits=16", ""},
		{"7.1.2.2 a window with a zero", "permessage-deflate; client_max_window_bits=08", ""},
		{"7.1.2.2 a window that is no number", "permessage-deflate; client_max_window_bits=ten", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := s.dial(t)
			a := w.wantAnswer(request(extensions+":"+row.offer), switches)
			if got := strings.Join(a.Header.Values(extensions), ", "); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
			w.deflate = row.want != ""
			w.open()
		})
	}
	t.Run("7 in two fields", func(t *testing.T) {
		w := s.dial(t)
		a := w.wantAnswer(request(extensions+": permessage-deflate; level=9", "+"+extensions+": permessage-deflate"), switches)
		if got := a.Header.Get(extensions); got != both {
			t.Errorf("got %q, want %q", got, both)
		}
	})
	t.Run("5 not with what is refused", func(t *testing.T) {
		w := s.dial(t)
		if a := w.wantAnswer(request(extensions+": permessage-deflate", "Sec-WebSocket-Version: 8"), refuses); a.Header.Get(extensions) != "" {
			t.Errorf("got %q", a.Header.Get(extensions))
		}
	})
}

// What the server sends: large messages compressed, where that makes them smaller.
// See RFC 7692, sections 6.1 and 7.2.1.
func TestDeflateSends(t *testing.T) {
	s := deflating(t)
	w, plain := s.compressing(t, "ana"), s.login(t, "bo")
	for _, row := range []struct {
		name, body string
		compressed bool
	}{
		{"6.1 a small message", "ahoy", false},
		{"6.1 a large message", strings.Repeat("ahoy ", 300), true},
		{"6.1 a message of four bytes a character", strings.Repeat("\U0001f600\U0001f643", 300), true},
		{"6.1 a message as large as can be", strings.Repeat("ahoy ", 50000), true},
	} {
		t.Run(row.name, func(t *testing.T) {
			for range 3 { // each by itself: see 7.1.1.1
				m := strings.Replace(message(w.jid, "1"), "text", row.body, 1)
				plain.say(m)
				f := w.frame()
				if got := f.rsv == 4; got != row.compressed || got && len(f.payload) > len(m)/3 {
					t.Fatalf("got %d bytes, compressed: %t, want %t", len(f.payload), got, row.compressed)
				}
				if f.rsv == 4 {
					f.payload = inflated(t, f.payload)
				}
				if got := w.parse(f.payload).child("body").text; got != row.body {
					t.Errorf("got %.40q, want %.40q", got, row.body)
				}
			}
		})
	}
	t.Run("6.1 noise arrives as it is", func(t *testing.T) {
		plain.say(strings.Replace(message(w.jid, "1"), "text", noise(3000), 1))
		w.wantMessage("1")
	})
	t.Run("5 who has not agreed gets what is plain", func(t *testing.T) {
		w.say(strings.Replace(message(plain.jid, "1"), "text", strings.Repeat("ahoy ", 300), 1))
		plain.wantMessage("1")
	})
	t.Run("6.1 control frames are not compressed", func(t *testing.T) {
		w.send(ping(strings.Repeat("x", 125)))
		w.wantPong(strings.Repeat("x", 125))
	})
	t.Run("the options are those of the time of the handshake", func(t *testing.T) {
		s.handler.Configure(websocket.Defaults())
		plain.say(strings.Replace(message(w.jid, "1"), "text", strings.Repeat("ahoy ", 300), 1))
		if f := w.frame(); f.rsv != 4 {
			t.Error("got a message that is not compressed")
		}
	})
}

// What the server takes. See RFC 7692, sections 6.2 and 7.2.2.
func TestDeflateTakes(t *testing.T) {
	s := deflating(t)
	w := s.compressing(t, "ana")
	m := strings.Replace(message(w.jid, "1"), "text", strings.Repeat("ahoy ", 100), 1)
	whole := deflated(flate.DefaultCompression, m)
	pieces := fragments(strings.Split(whole, "")...)
	pieces[0].rsv = 4
	halves := fragments(whole[:20], "", whole[20:])
	halves[0].rsv = 4
	for _, row := range []struct {
		name   string
		frames []frame
	}{
		{"7.2.3.1 one block", []frame{compressed(whole)}},
		{"7.2.3.2 in fragments", halves},
		{"7.2.3.2 each byte a fragment", pieces},
		{"7.2.3.2 with a ping in between", slices.Insert(slices.Clone(halves), 1, frame{op: opPong})},
		{"7.2.3.3 blocks without compression", []frame{compressed(deflated(flate.NoCompression, m))}},
		{"7.2.3.4 a last block", []frame{compressed(deflatedLast(m))}},
		{"7.2.3.5 two blocks", []frame{compressed(deflated(flate.DefaultCompression, m[:50], m[50:]))}},
		{"7.2.3.5 many blocks", []frame{compressed(deflated(flate.BestCompression, strings.Split(m, "")...))}},
		{"7.2 Huffman codes alone", []frame{compressed(deflated(flate.HuffmanOnly, m))}},
		{"6 not compressed", []frame{text(m)}},
		{"6 not compressed, in fragments", fragments(m[:9], m[9:])},
	} {
		t.Run(row.name, func(t *testing.T) {
			w.t = t
			w.send(row.frames...)
			w.wantMessage("1")
			w.wantAlive()
		})
	}
	t.Run("6.2 the limit is that of what is decompressed", func(t *testing.T) {
		w.t = t
		for _, body := range []string{strings.Repeat("x", 262144-len(m)), noise(262000 - len(m))} {
			w.send(compressed(deflated(flate.BestCompression, strings.Replace(m, "ahoy ", body, 1))))
			w.wantMessage("1")
		}
		w.send(compressed(deflated(flate.NoCompression, strings.Replace(m, "ahoy ", strings.Repeat("x", 262144-len(m)), 1))))
		w.wantMessage("1")
	})
}

// noise is text that cannot be compressed much.
func noise(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('A' + rand.IntN(58))
	}
	return string(b)
}

// What ends the connection. See RFC 7692, sections 6, 6.1 and 7.2.2.
func TestDeflateFails(t *testing.T) {
	s := deflating(t)
	bo := s.login(t, "bo")
	m := strings.Replace(message(bo.jid, "dropped"), "text", strings.Repeat("ahoy ", 100), 1)
	whole := deflated(flate.DefaultCompression, m)
	both := deflated(flate.DefaultCompression, m, m)
	second := both[len(whole)+len(marker):]
	rows := []failure{
		{"6.1 RSV1 of a continuation", protocol, []frame{{op: opText, rsv: 4, more: true, payload: whole[:9]}, {rsv: 4, payload: whole[9:]}}},
		{"6.1 RSV1 of a continuation alone", protocol, []frame{{op: opText, more: true, payload: "<a"}, {rsv: 4, payload: whole}}},
		{"6.1 RSV1 of a ping", protocol, []frame{{op: opPing, rsv: 4}}},
		{"6.1 RSV1 of a pong", protocol, []frame{{op: opPong, rsv: 4}}},
		{"6.1 RSV1 of a close", protocol, []frame{{op: opClose, rsv: 4, payload: "\x03\xe8"}}},
		{"6 RSV2", protocol, []frame{{op: opText, rsv: 2, payload: whole}}},
		{"6 RSV3", protocol, []frame{{op: opText, rsv: 1, payload: whole}}},
		{"6 RSV1 and RSV2", protocol, []frame{{op: opText, rsv: 6, payload: whole}}},
		{"7.2.2 no data", inconsistent, []frame{compressed("")}},
		{"7.2.2 what is not compressed", inconsistent, []frame{compressed(m)}},
		{"7.2.2 half a message", inconsistent, []frame{compressed(whole[:len(whole)/2])}},
		{"7.2.2 a block type that is none", inconsistent, []frame{compressed("\x06")}},
		{"7.2.2 a stored block whose lengths differ", inconsistent, []frame{compressed("\x00\x05\x00\x05\x00hello")}},
		{"7.2.2 data behind the last block", inconsistent, []frame{compressed(deflatedLast(m) + "x")}},
		{"7.1.1.2 the context of an earlier message", inconsistent, []frame{compressed(second)}},
		{"6.1 what is decompressed is no UTF-8", inconsistent, []frame{compressed(deflated(flate.BestSpeed, strings.Replace(m, "ahoy", "\xff", 1)))}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			w := s.compressing(t, "ana")
			w.send(append(row.frames, compressed(whole))...)
			w.wantFailure(row.codes...)
			bo.t = t
			bo.wantAlive()
		})
	}
	t.Run("6 binary", func(t *testing.T) {
		w := s.compressing(t, "ana")
		w.send(frame{op: opBinary, rsv: 4, payload: whole})
		w.wantFailure(1003)
	})
}

// Small messages that stand for large ones are decompressed no further than to the limit.
func TestDeflateBombs(t *testing.T) {
	s := deflating(t)
	const huge = 50 << 20
	bomb := deflated(flate.BestCompression, "<message xmlns='jabber:client'><body>"+strings.Repeat("x", huge)+"</body></message>")
	small := deflated(flate.BestCompression, "<message xmlns='jabber:client'><body>"+strings.Repeat("x", 262144)+"</body></message>")
	halves := fragments(bomb[:1000], bomb[1000:])
	halves[0].rsv = 4
	session := func(t testing.TB) *wire { return s.compressing(t, "ana") }
	early := func(t testing.TB) *wire {
		w := s.dial(t)
		w.wantAnswer(request(extensions+": permessage-deflate"), switches)
		w.deflate = true
		return w
	}
	for _, row := range []struct {
		name   string
		at     func(testing.TB) *wire
		frames []frame
	}{
		{"some bytes too many", session, []frame{compressed(small)}},
		{"50 MB", session, []frame{compressed(bomb)}},
		{"50 MB in fragments", session, halves},
		{"a login of 9 kB", early, []frame{compressed(deflated(flate.BestCompression, opening("to='a.test' version='1.0' id='"+strings.Repeat("x", 9000)+"'")))}},
		{"a million empty blocks", session, []frame{compressed(strings.Repeat("\x00\x00\x00\xff\xff", 1_000_000))}},
		{"as much compressed as is not allowed otherwise", session, []frame{{op: opText, rsv: 4, announce: 300_000}}},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := row.at(t)
			before := heap()
			w.send(row.frames...)
			if n := w.element(); n.name.Local == "open" {
				w.wantError("policy-violation")
			} else if !n.has("policy-violation") {
				t.Fatalf("got %s, want policy-violation", n.raw)
			}
			w.want(nsFraming, "close")
			w.say("<close xmlns='" + nsFraming + "'/>")
			w.wantClose(1009)
			wantGrowth(t, before, 2<<20)
		})
	}
	t.Run("empty blocks within the limit", func(t *testing.T) {
		w := session(t)
		m := message(w.jid, "1")
		w.send(compressed(strings.Repeat("\x00\x00\x00\xff\xff", 50_000) + deflated(flate.BestSpeed, m)))
		w.wantMessage("1")
	})
}

// A session that is idle holds no more with compression than without.
func TestDeflateIdle(t *testing.T) {
	const n = 100
	held := make(map[bool]int)
	for _, on := range []bool{false, true} {
		t.Run(fmt.Sprint(on), func(t *testing.T) {
			s := newSite(t, func(o *terms) { o.ws.Compression = on })
			before := heap()
			for range n {
				w := s.login
				if on {
					w = s.compressing
				}
				c := w(t, "ana")
				m := strings.Replace(message(c.jid, "1"), "text", strings.Repeat("ahoy ", 1000), 1)
				if on {
					c.send(compressed(deflated(flate.BestSpeed, m)))
				} else {
					c.say(m)
				}
				c.wantMessage("1")
				c.send(ping("")) // what is answered has been read, and what was before it handled
				c.wantPong("")
			}
			held[on] = (heap() - before) / n
		})
	}
	if more := held[true] - held[false]; more > 2<<10 {
		t.Errorf("%d bytes for a session with compression, %d without", held[true], held[false])
	}
	t.Logf("%d bytes for a session with compression, %d without, both ends and the client's buffer", held[true], held[false])
}
