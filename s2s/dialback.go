package s2s

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/tidewaiter/tidewaiter/internal/xmppstream"
	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// dialbackKey returns the key that the server of from gives to the server of to
// for the stream id, which that one has chosen.
// See XEP-0185, section 3.
func dialbackKey(secret []byte, to, from, id string) string {
	sum := sha256.Sum256(secret)
	m := hmac.New(sha256.New, []byte(hex.EncodeToString(sum[:])))
	m.Write([]byte(to + " " + from + " " + id))
	return hex.EncodeToString(m.Sum(nil))
}

// isDialbackKey compares in constant time.
func isDialbackKey(secret []byte, to, from, id, key string) bool {
	return hmac.Equal([]byte(dialbackKey(secret, to, from, id)), []byte(key))
}

// The names of the elements of dialback.
var (
	dbResult = stanza.Name{Space: xmppstream.NSDialback, Local: "result"}
	dbVerify = stanza.Name{Space: xmppstream.NSDialback, Local: "verify"}
)

// Values of the type attribute of an answer, besides stanza.TypeError.
const (
	dbValid   = "valid"
	dbInvalid = "invalid"
)

// dialback is a <db:result/> or a <db:verify/>: without Type a request, else the
// answer to one.
// See XEP-0220, section 2.
type dialback struct {
	Name     string // result or verify
	From, To string // domains
	ID       string // of the stream that a <db:verify/> is about
	Type     string // of an answer: dbValid, dbInvalid or stanza.TypeError
	Key      string // of a request
	Err      *stanza.Error
}

// parseDialback takes an element of dialback apart that a server has sent. The
// pair is the two domains in their canonical form; the remote one is the sender's.
// The error is a *stanza.StreamError.
func parseDialback(e *stanza.Element) (dialback, pair, error) {
	d := dialback{
		Name: e.Name.Local, From: e.Attr("from"), To: e.Attr("to"), ID: e.Attr("id"),
		Type: e.Attr("type"), Key: strings.TrimSpace(e.Text),
	}
	var p pair
	var err error
	if p.remote, err = parseDomain(d.From); err != nil {
		return d, p, misaddressed("from of <db:"+d.Name+"/> is no domain", err)
	}
	if p.local, err = parseDomain(d.To); err != nil {
		return d, p, misaddressed("to of <db:"+d.Name+"/> is no domain", err)
	}
	if d.Type == stanza.TypeError {
		d.Err = parseDialbackError(e)
	}
	return d, p, nil
}

// maxCondition is the longest condition that is taken over, in bytes.
const maxCondition = 64

// parseDialbackError returns the error in an answer of that type.
// See XEP-0220, section 2.5.
func parseDialbackError(e *stanza.Element) *stanza.Error {
	err := &stanza.Error{Condition: stanza.UndefinedCondition}
	for _, c := range e.Children {
		if c.Name.Local != "error" { // its namespace is seen in several forms
			continue
		}
		for _, c := range c.Children {
			switch {
			case c.Name.Space != stanza.NSStanzas:
			case c.Name.Local == "text":
				err.Text = xmppstream.Clip(c.Text)
			case len(c.Name.Local) <= maxCondition:
				err.Condition = stanza.Condition(c.Name.Local)
			}
		}
	}
	return err
}

// errInvalidKey says that a server has not made the key that another one showed.
var errInvalidKey = errors.New("dialback key is invalid")

// answer returns what answers a request.
func (d dialback) answer(kind string, err *stanza.Error) dialback {
	return dialback{Name: d.Name, From: d.To, To: d.From, ID: d.ID, Type: kind, Err: err}
}

// String returns the element as XML for a stream whose header declares db.
func (d dialback) String() string {
	b := append([]byte("<db:"), d.Name...)
	for _, a := range [...][2]string{{"from", d.From}, {"to", d.To}, {"id", d.ID}, {"type", d.Type}} {
		if a[1] != "" {
			b = append(b, " "+a[0]+"='"...)
			b = stanza.AppendEscaped(b, a[1])
			b = append(b, '\'')
		}
	}
	switch {
	case d.Err != nil:
		b = append(b, '>')
		b = d.Err.AppendXML(b)
	case d.Key != "":
		b = append(b, '>')
		b = stanza.AppendEscaped(b, d.Key)
	default:
		return string(append(b, "/>"...))
	}
	b = append(b, "</db:"...)
	b = append(b, d.Name...)
	return string(append(b, '>'))
}

var errNoDomain = errors.New("it has a localpart or a resourcepart")

// parseDomain returns the canonical form of an address that is a domain.
func parseDomain(s string) (string, error) {
	j, err := stanza.ParseJID(s)
	switch {
	case err != nil:
		return "", err
	case j.Local() != "" || j.IsFull():
		return "", errNoDomain
	}
	return j.Domain(), nil
}

func misaddressed(text string, err error) error {
	return &stanza.StreamError{Condition: stanza.StreamImproperAddressing, Text: text, Err: err}
}
