//go:build interop

package interop

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// element is a stanza that a person got.
type element struct {
	XMLName xml.Name
	From    string `xml:"from,attr"`
	To      string `xml:"to,attr"`
	Type    string `xml:"type,attr"`
	ID      string `xml:"id,attr"`
	Body    string `xml:"body"`
	Inner   string `xml:",innerxml"`
}

func (e element) String() string {
	return fmt.Sprintf("<%s from=%q to=%q type=%q id=%q>%.400s", e.XMLName.Local, e.From, e.To, e.Type, e.ID, e.Inner)
}

// person is a user of some server, with one client that speaks without TLS. It
// answers the requests of others by itself.
type person struct {
	jid  string // full
	conn net.Conn
	dec  *xml.Decoder

	mu   sync.Mutex // guards what follows, and writing
	got  []element
	more chan struct{} // closed when got or err change
	err  error         // why nothing more comes

	takers []func(element) bool // each takes what it returns true for, from the goroutine that reads
	done   chan struct{}
}

// login logs a user in and announces it, until the test ends. The account is
// made if it is not there.
func login(t *testing.T, addr, domain, user string) *person {
	t.Helper()
	p, err := dial(addr, domain, user, "boat", nil)
	if err != nil {
		t.Fatalf("%s@%s: %v", user, domain, err)
	}
	t.Cleanup(p.leave)
	return p
}

const password = "anchor"

// dial logs a user in, asks for the roster and sends presence. What taker takes,
// nobody else sees; nil takes nothing.
func dial(addr, domain, user, resource string, taker func(element) bool) (*person, error) {
	p, err := connect(addr, domain)
	if err != nil {
		return nil, err
	}
	if err = p.auth(domain, user, resource); err != nil {
		p.conn.Close()
		return nil, err
	}
	p.conn.SetDeadline(time.Time{})
	if taker != nil {
		p.also(taker)
	}
	go p.read()
	p.send("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>")
	return p, nil
}

// connect opens a stream and reads its features.
func connect(addr, domain string) (*person, error) {
	conn, err := net.DialTimeout("tcp", addr, bound)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(bound))
	p := &person{conn: conn, more: make(chan struct{}), done: make(chan struct{})}
	if err := p.open(domain); err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

func (p *person) open(domain string) error {
	p.send("<stream:stream to='" + domain + "' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>")
	p.dec = xml.NewDecoder(p.conn)
	for {
		token, err := p.dec.Token()
		if err != nil {
			return err
		}
		if _, ok := token.(xml.StartElement); ok {
			break
		}
	}
	_, err := p.want("features")
	return err
}

// want reads an element, which must have that name.
func (p *person) want(name string) (element, error) {
	e, err := p.next()
	if err == nil && e.XMLName.Local != name {
		err = fmt.Errorf("got %v, want <%s>", e, name)
	}
	return e, err
}

var errStreamEnd = errors.New("the stream has ended")

func (p *person) next() (element, error) {
	for {
		token, err := p.dec.Token()
		if err != nil {
			return element{}, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			var e element
			err := p.dec.DecodeElement(&e, &token)
			return e, err
		case xml.EndElement:
			return element{}, errStreamEnd
		}
	}
}

func (p *person) auth(domain, user, resource string) error {
	p.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "</auth>")
	if _, err := p.want("success"); err != nil {
		return err
	}
	if err := p.open(domain); err != nil {
		return err
	}
	p.jid = user + "@" + domain + "/" + resource
	p.send("<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>" + resource + "</resource></bind></iq>")
	e, err := p.want("iq")
	if err == nil && !strings.Contains(e.Inner, p.jid) {
		err = fmt.Errorf("bind: %v", e)
	}
	return err
}

// register makes an account in-band; there may be one already.
func register(t *testing.T, addr, domain, user string) {
	t.Helper()
	p, err := connect(addr, domain)
	if err != nil {
		t.Fatal(err)
	}
	defer p.conn.Close()
	p.send("<iq type='set' id='register' to='" + domain + "'><query xmlns='jabber:iq:register'><username>" + user +
		"</username><password>" + password + "</password></query></iq>")
	if e, err := p.want("iq"); err != nil || e.Type != "result" {
		t.Fatalf("registering %s@%s: %v %v", user, domain, err, e)
	}
}

// send writes; who cannot write notices it by reading.
func (p *person) send(xml string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = io.WriteString(p.conn, xml)
}

func (p *person) sendf(format string, args ...any) { p.send(fmt.Sprintf(format, args...)) }

// read takes what comes until the stream ends.
func (p *person) read() {
	defer close(p.done)
	for {
		e, err := p.next()
		if err == nil && p.answer(e) {
			continue
		}
		p.mu.Lock()
		takers := p.takers
		p.mu.Unlock()
		if err == nil && slices.ContainsFunc(takers, func(take func(element) bool) bool { return take(e) }) {
			continue
		}
		p.mu.Lock()
		if err == nil {
			p.got = append(p.got, e)
		}
		p.err = err
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// answer answers a request: all that it knows is what it is.
func (p *person) answer(e element) bool {
	if e.XMLName.Local != "iq" || e.Type != "get" && e.Type != "set" {
		return false
	}
	payload := ""
	switch {
	case strings.Contains(e.Inner, "jabber:iq:version"):
		payload = "<query xmlns='jabber:iq:version'><name>Person</name><version>1</version></query>"
	case strings.Contains(e.Inner, "disco#info"):
		payload = "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='bot' name='Person'/></query>"
	}
	to := ""
	if e.From != "" {
		to = " to='" + e.From + "'"
	}
	p.sendf("<iq type='result' id='%s'%s>%s</iq>", e.ID, to, payload)
	return true
}

// also has f see what comes before anybody else, and take what it returns true for.
func (p *person) also(f func(element) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.takers = append(p.takers, f)
}

// expect waits for an element for which ok holds and takes it out of what has
// come.
func (p *person) expect(t *testing.T, what string, ok func(element) bool) element {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		p.mu.Lock()
		for i, e := range p.got {
			if ok(e) {
				p.got = append(p.got[:i:i], p.got[i+1:]...)
				p.mu.Unlock()
				return e
			}
		}
		more, err, got := p.more, p.err, p.got
		p.mu.Unlock()
		if err != nil {
			t.Fatalf("%s: %s did not come: %v; got %v", p.jid, what, err, got)
		}
		select {
		case <-more:
		case <-timer.C:
			t.Fatalf("%s: %s did not come in time; got %v", p.jid, what, got)
		}
	}
}

// patience is how long one answer may take.
const patience = 20 * time.Second

// message waits for a message with a body and returns it.
func (p *person) message(t *testing.T, body string) element {
	t.Helper()
	return p.expect(t, "the message "+body, func(e element) bool { return e.XMLName.Local == "message" && e.Body == body && e.Type != "error" })
}

// presence waits for presence of a type from an account or resource.
func (p *person) presence(t *testing.T, from, typ string) element {
	t.Helper()
	return p.expect(t, "presence "+typ+" from "+from, func(e element) bool {
		return e.XMLName.Local == "presence" && e.Type == typ && strings.HasPrefix(e.From+"/", from+"/")
	})
}

// ask sends a request and returns the answer, which may be an error.
func (p *person) ask(t *testing.T, to, payload string) element {
	t.Helper()
	id := newID()
	p.sendf("<iq type='get' to='%s' id='%s'>%s</iq>", to, id, payload)
	return p.expect(t, "an answer of "+to, func(e element) bool { return e.XMLName.Local == "iq" && e.ID == id })
}

// bare returns the address of the account.
func (p *person) bare() string {
	bare, _, _ := strings.Cut(p.jid, "/")
	return bare
}

// leave ends the stream and waits for that.
func (p *person) leave() {
	p.conn.SetDeadline(time.Now().Add(patience))
	p.send("<presence type='unavailable'/></stream:stream>")
	<-p.done
	p.conn.Close()
}
