package xmpp

import (
	"bytes"
	"time"

	"github.com/tidewaiter/tidewaiter/internal/load/meter"
)

// checker checks the messages that one receiver gets from one author: every
// byte of the body, the id, the sender, and that each comes once and in order.
type checker struct {
	texts *texts
	id    []byte // what ids begin with
	from  string // full JID of the sender; "": not checked

	order   sequence
	faults  meter.Faults
	foreign int64 // messages of others

	scratch []byte
}

func newChecker(a *author, from string) *checker {
	return &checker{texts: a.texts, id: []byte(a.id), from: from}
}

// check takes an element that has come, when sent messages were sent in all. It
// returns the time that the message was sent, and whether it is one of the
// author's: all others are none of its business.
func (c *checker) check(el []byte, sent int64) (at time.Time, ours bool) {
	if !bytes.HasPrefix(el, messageStart) {
		return at, false
	}
	tag := startTag(el)
	id := attribute(tag, " id=")
	body := child(el[len(tag):], "<body", "</body>")
	if bytes.IndexByte(body, '&') >= 0 {
		c.scratch = unescape(c.scratch[:0], body)
		body = c.scratch
	}
	switch {
	case !bytes.HasPrefix(id, c.id) && !c.isOurs(body):
		c.foreign++ // of an earlier run, or what the server itself has to say
		return at, false
	case string(attribute(tag, " type=")) == "error":
		c.faults.Bounced++
		return at, true
	}
	n, ok := c.verify(id, body, sent)
	if !ok {
		c.faults.Corrupt++
		return at, true
	}
	if c.from != "" && string(attribute(tag, " from=")) != c.from {
		c.faults.WrongFrom++
	}
	c.order.place(n)
	return time.Unix(0, number(body[timeAt:timeAt+timeDigits])), true
}

// isOurs reports whether a body has the mark of this run.
func (c *checker) isOurs(body []byte) bool {
	return len(body) >= fillerAt && string(body[runAt:runAt+runDigits]) == c.texts.run
}

// verify compares a message with what was sent and returns its sequence number.
func (c *checker) verify(id, body []byte, sent int64) (n int64, ok bool) {
	if !c.isOurs(body) || !bytes.HasPrefix(id, c.id) {
		return 0, false
	}
	n = number(body[:sequenceDigits])
	if n < 0 || n >= sent || number(id[len(c.id):]) != n || number(body[timeAt:timeAt+timeDigits]) < 0 {
		return 0, false
	}
	return n, bytes.Equal(body[fillerAt:], c.texts.text[n&15])
}

// result returns the faults, when sent messages were sent and no more will come.
func (c *checker) result(sent int64) meter.Faults {
	f := c.order.add(c.faults, sent)
	// A message that came in another shape is not lost as well.
	f.Lost = max(0, f.Lost-f.Corrupt-f.Bounced)
	return f
}
