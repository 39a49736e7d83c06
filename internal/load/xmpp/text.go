package xmpp

import (
	"math/rand/v2"
	"strconv"
	"time"
)

// The body of a message is "SEQUENCE TIME RUN FILLER", the first three of fixed
// length. The filler depends on the sequence number alone, so that a receiver
// can check every byte of a body and need not remember any.
const (
	sequenceDigits = 10
	timeDigits     = 19
	runDigits      = 8

	timeAt   = sequenceDigits + 1
	runAt    = timeAt + timeDigits + 1
	fillerAt = runAt + runDigits + 1
)

// texts makes the messages of one run. It does not change.
type texts struct {
	run  string
	wire [16][]byte // fillers as they are sent
	text [16][]byte // as they are meant
}

// newTexts returns the texts of a run, whose bodies have size bytes (at least
// fillerAt). rich fills them with references, quotes and characters of several
// bytes.
func newTexts(run string, size int, rich bool) *texts {
	t := &texts{run: run}
	rnd := rand.New(rand.NewPCG(1, 2))
	const letters = "abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,:;-"
	special := [...]struct{ wire, text string }{
		{"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}, {"&#65;", "A"}, {"é", "é"}, {"€", "€"}, {"😀", "😀"}, {"'", "'"}, {`"`, `"`}, {"\n", "\n"},
	}
	for i := range t.text {
		for len(t.text[i]) < size-fillerAt {
			if rich && rnd.IntN(8) == 0 {
				s := special[rnd.IntN(len(special))]
				t.wire[i], t.text[i] = append(t.wire[i], s.wire...), append(t.text[i], s.text...)
				continue
			}
			c := letters[rnd.IntN(len(letters))]
			t.wire[i], t.text[i] = append(t.wire[i], c), append(t.text[i], c)
		}
	}
	return t
}

// author writes the messages of one sender to one receiver.
type author struct {
	texts *texts
	head  []byte // the start of the message up to the sequence number of its id
	id    string // what ids begin with
	next  int64  // sequence number
}

func newAuthor(t *texts, pair int, to string) *author {
	a := &author{texts: t, id: t.run + "-" + strconv.Itoa(pair) + "-"}
	a.head = []byte("<message to='" + to + "' type='chat' id='" + a.id)
	return a
}

// sign has the messages name their sender, for what stamps none.
func (a *author) sign(from string) {
	a.head = append([]byte("<message from='"+from+"'"), a.head[len(messageStart):]...)
}

// append appends the next message.
func (a *author) append(dst []byte, now time.Time) []byte {
	n := a.next
	a.next++
	dst = append(dst, a.head...)
	dst = strconv.AppendInt(dst, n, 10)
	dst = append(dst, "'><body>"...)
	dst = appendPadded(dst, n, sequenceDigits)
	dst = append(dst, ' ')
	dst = appendPadded(dst, now.UnixNano(), timeDigits)
	dst = append(dst, ' ')
	dst = append(dst, a.texts.run...)
	dst = append(dst, ' ')
	dst = append(dst, a.texts.wire[n&15]...)
	return append(dst, "</body></message>"...)
}

// appendPadded appends n with at least so many digits.
func appendPadded(dst []byte, n int64, digits int) []byte {
	var buf [20]byte
	s := strconv.AppendInt(buf[:0], n, 10)
	for range digits - len(s) {
		dst = append(dst, '0')
	}
	return append(dst, s...)
}
