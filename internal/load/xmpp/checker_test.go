package xmpp

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

const (
	testRun  = "0123abcd"
	testFrom = "u0@localhost/r"
)

// deliver returns what a server makes of a message: it adds the sender.
func deliver(message []byte) []byte {
	return bytes.Replace(message, []byte("<message "), []byte("<message from='"+testFrom+"' "), 1)
}

// newTestChecker returns the first n messages of an author as they arrive, and
// their checker.
func newTestChecker(n int, rich bool) ([][]byte, *checker) {
	a := newAuthor(newTexts(testRun, 200, rich), 7, "u1@localhost/r")
	var messages [][]byte
	for range n {
		messages = append(messages, deliver(a.append(nil, time.Unix(1, 5))))
	}
	return messages, newChecker(a, testFrom)
}

// TestCheckerFindsFaults has servers that do one thing wrong with ten messages.
func TestCheckerFindsFaults(t *testing.T) {
	replace := func(m []byte, old, with string) []byte {
		if !bytes.Contains(m, []byte(old)) {
			t.Fatalf("%q is not in %q", old, m)
		}
		return bytes.Replace(m, []byte(old), []byte(with), 1)
	}
	for _, c := range []struct {
		name string
		do   func(m [][]byte) [][]byte
		want meter.Faults
	}{
		{"nothing", func(m [][]byte) [][]byte { return m }, meter.Faults{}},
		{"loses one", func(m [][]byte) [][]byte { return append(m[:3:3], m[4:]...) }, meter.Faults{Lost: 1}},
		{"loses the last", func(m [][]byte) [][]byte { return m[:8] }, meter.Faults{Lost: 2}},
		{"loses all", func(m [][]byte) [][]byte { return nil }, meter.Faults{Lost: 10}},
		{"sends one twice", func(m [][]byte) [][]byte { return append(m, m[4]) }, meter.Faults{Duplicate: 1}},
		{"swaps two", func(m [][]byte) [][]byte { m[2], m[3] = m[3], m[2]; return m }, meter.Faults{Reordered: 1}},
		{"changes the body", func(m [][]byte) [][]byte {
			m[5][len(m[5])-len("</body></message>")-1] ^= 1
			return m
		}, meter.Faults{Corrupt: 1}},
		{"adds to the body", func(m [][]byte) [][]byte { m[5] = replace(m[5], "</body>", " </body>"); return m }, meter.Faults{Corrupt: 1}},
		{"cuts the body", func(m [][]byte) [][]byte {
			m[5] = replace(m[5], string(child(m[5], "<body", "</body>")), "0000000005")
			return m
		}, meter.Faults{Corrupt: 1}},
		{"changes the sequence number", func(m [][]byte) [][]byte { m[5] = replace(m[5], "0000000005", "0000000006"); return m }, meter.Faults{Corrupt: 1}},
		{"invents a sequence number", func(m [][]byte) [][]byte {
			m[5] = replace(replace(m[5], "0000000005", "9999999999"), "-5'", "-9999999999'")
			return m
		}, meter.Faults{Corrupt: 1}},
		{"changes the id", func(m [][]byte) [][]byte { m[5] = replace(m[5], "-7-5'", "-8-5'"); return m }, meter.Faults{Corrupt: 1}},
		{"drops the id", func(m [][]byte) [][]byte { m[5] = replace(m[5], " id='"+testRun+"-7-5'", ""); return m }, meter.Faults{Corrupt: 1}},
		{"changes the run", func(m [][]byte) [][]byte { m[5] = replace(m[5], " "+testRun+" ", " 01234567 "); return m }, meter.Faults{Corrupt: 1}},
		{"names another sender", func(m [][]byte) [][]byte { m[5] = replace(m[5], testFrom, "u2@localhost/r"); return m }, meter.Faults{WrongFrom: 1}},
		{"names the account", func(m [][]byte) [][]byte { m[5] = replace(m[5], testFrom, "u0@localhost"); return m }, meter.Faults{WrongFrom: 1}},
		{"names no sender", func(m [][]byte) [][]byte { m[5] = replace(m[5], "from='"+testFrom+"' ", ""); return m }, meter.Faults{WrongFrom: 1}},
		{"bounces one", func(m [][]byte) [][]byte { m[5] = replace(m[5], "type='chat'", "type='error'"); return m }, meter.Faults{Bounced: 1}},
		{"sends something else", func(m [][]byte) [][]byte {
			return append(m, []byte("<presence from='a@b'/>"), []byte("<message from='localhost'><body>welcome</body></message>"))
		}, meter.Faults{}},
		{"sends a message of an earlier run", func(m [][]byte) [][]byte {
			old := []byte(strings.ReplaceAll(string(m[0]), testRun, "99999999"))
			return append([][]byte{old}, m...)
		}, meter.Faults{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			const sent = 10
			m, check := newTestChecker(sent, false)
			for _, el := range c.do(m) {
				check.check(el, sent)
			}
			if got := check.result(sent); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
		})
	}
}

func TestCheckerKnowsWhatIsOurs(t *testing.T) {
	m, check := newTestChecker(1, false)
	if at, ours := check.check(m[0], 1); !ours || !at.Equal(time.Unix(1, 5)) {
		t.Errorf("got %v, %v; want true and the time of sending", ours, at)
	}
	for _, el := range []string{"<presence/>", "<message/>", "<message><subject>x</subject></message>", "<message><body>x</body></message>"} {
		if _, ours := check.check([]byte(el), 1); ours {
			t.Errorf("%s counts as ours", el)
		}
	}
}

// TestCheckerReadsReferences has a server that writes other references than it
// was sent.
func TestCheckerReadsReferences(t *testing.T) {
	m, check := newTestChecker(16, true)
	for _, el := range m {
		text := strings.NewReplacer("&#65;", "A", "&gt;", ">", "'><body>", "'><body>", "é", "&#xe9;").Replace(string(el))
		check.check([]byte(text), 16)
	}
	if got := check.result(16); got != (meter.Faults{}) {
		t.Errorf("got %+v, want no faults", got)
	}
}

// TestCheckerIsBounded has a server that loses more than is remembered.
func TestCheckerIsBounded(t *testing.T) {
	const sent = 10 * maxMissing
	_, check := newTestChecker(0, false)
	check.order.place(sent - 1)
	if len(check.order.missing) > maxMissing {
		t.Errorf("got %d numbers remembered, want at most %d", len(check.order.missing), maxMissing)
	}
	if got, want := check.result(sent), (meter.Faults{Lost: sent - 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	check.order.place(0)
	if got, want := check.result(sent), (meter.Faults{Lost: sent - 2, Reordered: 1}); got != want {
		t.Errorf("after one came late: got %+v, want %+v", got, want)
	}
}

func TestMessagesDoNotAllocate(t *testing.T) {
	a := newAuthor(newTexts(testRun, 100, true), 0, "u1@localhost/r")
	c := newChecker(a, testFrom)
	var buf []byte
	now := time.Now()
	if n := testing.AllocsPerRun(100, func() {
		buf = a.append(buf[:0], now)
		c.check(buf, a.next)
	}); n > 0 {
		t.Errorf("got %v allocations a message, want 0", n)
	}
}

func BenchmarkClientOfAMessage(b *testing.B) {
	a := newAuthor(newTexts(testRun, 100, false), 0, "u1@localhost/r")
	c := newChecker(a, testFrom)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = a.append(buf[:0], time.Now())
		if n, _ := elementLen(buf); n != len(buf) {
			b.Fatal(n)
		}
		c.check(buf, a.next)
	}
}
