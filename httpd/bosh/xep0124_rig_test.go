package bosh_test

import (
	"bufio"
	"compress/gzip"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The conformance tests read XEP-0124 and XEP-0206 and know nothing of the handler but its
// URL. Each row names the section of which it is made.

const (
	xepNSBind    = "http://jabber.org/protocol/httpbind"
	xepNSXBOSH   = "urn:xmpp:xbosh"
	xepNSStreams = "http://etherx.jabber.org/streams"
	xepNSSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	xepNSSession = "urn:ietf:params:xml:ns:xmpp-bind"
	xepNSClient  = "jabber:client"
	xepFirstRID  = 1573741820
	xepAbsent    = "(none)" // as the value of an attribute: leaves it out
)

// xepRow is one rule of a standard.
type xepRow struct {
	name string
	try  func(*xepRig)
}

// xepRig is a server and its clients.
type xepRig struct {
	t        testing.TB
	dial     func() net.Conn
	domain   string              // that of the users ana and bo; their password is anchor
	path     string              // of the handler
	settle   func()              // waits until everything that was sent has been read
	sleep    func(time.Duration) // lets time pass
	patience time.Duration       // for an answer

	mu    sync.Mutex
	conns []net.Conn
	calls sync.WaitGroup
}

// hangUp closes what the clients have open.
func (r *xepRig) hangUp() {
	r.mu.Lock()
	for _, c := range r.conns {
		_ = c.Close()
	}
	r.mu.Unlock()
	r.calls.Wait()
}

// xepElement is an element of an answer.
type xepElement struct {
	Name     xml.Name
	Attrs    []xml.Attr
	Children []*xepElement
	Text     string // directly below it
}

// parseXEP reads a document of one element.
func parseXEP(text string) (*xepElement, error) {
	var root *xepElement
	var open []*xepElement
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if err == io.EOF && root != nil {
			return root, nil
		} else if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &xepElement{Name: token.Name, Attrs: slices.Clone(token.Attr)}
			switch {
			case len(open) > 0:
				above := open[len(open)-1]
				above.Children = append(above.Children, e)
			case root != nil:
				return nil, fmt.Errorf("second root <%s/>", e.Name.Local)
			default:
				root = e
			}
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].Text += string(token)
			} else if strings.TrimSpace(string(token)) != "" {
				return nil, fmt.Errorf("text %q outside the root", token)
			}
		default:
			return nil, fmt.Errorf("a %T, which XEP-0124 forbids", token)
		}
	}
}

// attr returns the value of an attribute; its prefix may be xml, xmpp or xmlns.
func (e *xepElement) attr(name string) (value string, ok bool) {
	space, local, prefixed := strings.Cut(name, ":")
	if !prefixed {
		space, local = "", name
	} else if space == "xmpp" {
		space = xepNSXBOSH
	}
	for _, a := range e.Attrs {
		if a.Name.Local == local && a.Name.Space == space {
			return a.Value, true
		}
	}
	return "", false
}

// child returns the first child of a name, nil if there is none.
func (e *xepElement) child(space, local string) *xepElement {
	if e == nil {
		return nil
	}
	for _, c := range e.Children {
		if c.Name.Local == local && c.Name.Space == space {
			return c
		}
	}
	return nil
}

// xepAnswer is an HTTP response.
type xepAnswer struct {
	t       testing.TB
	err     error // instead of a response
	status  int
	header  http.Header
	size    int64 // that its header says, -1 when unknown
	chunked bool
	raw     string      // its body, decompressed
	body    *xepElement // nil when that is no XML
	problem error       // why not
}

// readXEP reads a response to a POST.
func readXEP(t testing.TB, in *bufio.Reader) *xepAnswer {
	a := &xepAnswer{t: t}
	resp, err := http.ReadResponse(in, &http.Request{Method: http.MethodPost})
	if err != nil {
		a.err = err
		return a
	}
	defer resp.Body.Close()
	a.status, a.header, a.size = resp.StatusCode, resp.Header, resp.ContentLength
	a.chunked = slices.Contains(resp.TransferEncoding, "chunked")
	body := io.Reader(resp.Body)
	if resp.Header.Get("Content-Encoding") == "gzip" {
		if body, a.err = gzip.NewReader(body); a.err != nil {
			return a
		}
	}
	raw, err := io.ReadAll(body)
	a.raw, a.err = string(raw), err
	a.body, a.problem = parseXEP(a.raw)
	return a
}

func (a *xepAnswer) String() string {
	if a.err != nil {
		return "no answer: " + a.err.Error()
	}
	return fmt.Sprintf("%d %s", a.status, a.raw)
}

// attr returns an attribute of the wrapper, "" when xepAbsent.
func (a *xepAnswer) attr(name string) string {
	if a.body == nil {
		return ""
	}
	v, _ := a.body.attr(name)
	return v
}

// has reports whether the wrapper has an attribute.
func (a *xepAnswer) has(name string) bool {
	if a.body == nil {
		return false
	}
	_, ok := a.body.attr(name)
	return ok
}

// number returns an attribute that is a number, -1 when it is none.
func (a *xepAnswer) number(name string) int {
	n, err := strconv.Atoi(a.attr(name))
	if err != nil {
		return -1
	}
	return n
}

// wantWrapper wants 200 and a wrapper.
func (a *xepAnswer) wantWrapper() {
	a.t.Helper()
	if a.err != nil || a.status != http.StatusOK || a.body == nil || a.body.Name != (xml.Name{Space: xepNSBind, Local: "body"}) {
		a.t.Fatalf("got %v (%v), want 200 and a <body/> of %s", a, a.problem, xepNSBind)
	}
	if strings.TrimSpace(a.body.Text) != "" {
		a.t.Errorf("got the text %q in the wrapper, want none (6)", a.body.Text)
	}
}

// wantOK wants an answer that is no error.
func (a *xepAnswer) wantOK() *xepAnswer {
	a.t.Helper()
	a.wantWrapper()
	if a.has("type") || a.has("condition") {
		a.t.Fatalf("got %v, want no error", a)
	}
	return a
}

// wantEmpty wants one without payload.
func (a *xepAnswer) wantEmpty() *xepAnswer {
	a.t.Helper()
	a.wantOK()
	if len(a.body.Children) > 0 {
		a.t.Errorf("got %v, want an empty body", a)
	}
	return a
}

// wantTerminate wants a terminal binding condition, one of some, or any without those.
func (a *xepAnswer) wantTerminate(conditions ...string) {
	a.t.Helper()
	a.wantWrapper()
	if got := a.attr("condition"); a.attr("type") != "terminate" || len(conditions) > 0 && !slices.Contains(conditions, got) {
		a.t.Errorf("got %v, want type='terminate' with condition %q", a, conditions)
	}
}

// wantError wants a terminal binding condition, or its HTTP condition: what a client gets
// of which the server does not know whether it is a legacy client.
func (a *xepAnswer) wantError(status int, condition string) {
	a.t.Helper()
	if a.err == nil && a.status == status {
		return
	}
	a.wantTerminate(condition)
}

// isError reports whether the answer is an error of any kind.
func (a *xepAnswer) isError() bool {
	return a.err != nil || a.status >= 400 || a.attr("type") == "terminate"
}

// texts returns the bodies of the messages in an answer.
func (a *xepAnswer) texts() []string {
	var all []string
	if a.body == nil {
		return nil
	}
	for _, c := range a.body.Children {
		if c.Name.Local == "message" {
			all = append(all, c.text())
		}
	}
	return all
}

// text returns the body of a message.
func (e *xepElement) text() string {
	if b := e.child(xepNSClient, "body"); b != nil {
		return b.Text
	}
	return ""
}

// xepCall is a request on its way.
type xepCall struct {
	r    *xepRig
	c    net.Conn
	done chan *xepAnswer
}

// write sends raw bytes over a connection of their own and reads a response.
func (r *xepRig) write(request string) *xepCall {
	call := &xepCall{r: r, c: r.dial(), done: make(chan *xepAnswer, 1)}
	r.mu.Lock()
	r.conns = append(r.conns, call.c)
	r.mu.Unlock()
	r.calls.Go(func() {
		r.calls.Go(func() { _, _ = io.WriteString(call.c, request) })
		call.done <- readXEP(r.t, bufio.NewReader(call.c))
		_ = call.c.Close()
	})
	return call
}

// post sends a POST; fields are further ones of its header, each with its line end.
func (r *xepRig) post(fields, body string) *xepCall {
	if !strings.Contains(fields, "Content-Type:") {
		fields += "Content-Type: text/xml; charset=utf-8\r\n"
	}
	return r.write("POST " + r.path + " HTTP/1.1\r\nHost: " + r.domain + "\r\n" + fields +
		"Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
}

// answer waits for the response.
func (c *xepCall) answer() *xepAnswer {
	c.r.t.Helper()
	timer := time.NewTimer(c.r.patience)
	defer timer.Stop()
	select {
	case a := <-c.done:
		c.done <- a
		return a
	case <-timer.C:
		c.r.t.Fatalf("no answer for %v", c.r.patience)
		return nil
	}
}

// pending reports whether the request is held, once everything has settled.
func (c *xepCall) pending() bool {
	c.r.settle()
	return len(c.done) == 0
}

// wantHeld wants that there is no answer yet.
func (c *xepCall) wantHeld() *xepCall {
	c.r.t.Helper()
	if !c.pending() {
		c.r.t.Errorf("got %v at once, want the request to be held", c.answer())
	}
	return c
}

// wantNow waits for an answer that must not wait for anything.
func (c *xepCall) wantNow() *xepAnswer {
	c.r.t.Helper()
	if c.pending() {
		c.r.t.Error("the request is held, want an answer at once")
	}
	return c.answer()
}

// wantTexts wants an answer with these messages.
func (c *xepCall) wantTexts(want ...string) {
	c.r.t.Helper()
	if got := c.answer().wantOK().texts(); !slices.Equal(got, want) {
		c.r.t.Errorf("got messages %q, want %q", got, want)
	}
}

// hangUp breaks the connection.
func (c *xepCall) hangUp() {
	_ = c.c.Close()
	c.r.settle()
}

// xepAttrs are attributes of a wrapper, written as they are.
type xepAttrs map[string]string

// xepWrapper makes a <body/>.
func xepWrapper(attrs xepAttrs, payload string) string {
	var b strings.Builder
	b.WriteString("<body")
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		if attrs[name] != xepAbsent {
			b.WriteString(" " + name + "='" + attrs[name] + "'")
		}
	}
	if _, ok := attrs["xmlns"]; !ok {
		b.WriteString(" xmlns='" + xepNSBind + "'")
	}
	b.WriteString(" xmlns:xmpp='" + xepNSXBOSH + "'")
	if payload == "" {
		return b.String() + "/>"
	}
	return b.String() + ">" + payload + "</body>"
}

// creation makes a session creation request, with these attributes instead of the usual.
func (r *xepRig) creation(attrs xepAttrs) string {
	all := xepAttrs{"to": r.domain, "rid": strconv.Itoa(xepFirstRID), "wait": "60", "hold": "1", "ver": "1.6", "xml:lang": "en", "xmpp:version": "1.0"}
	maps.Copy(all, attrs)
	return xepWrapper(all, "")
}

// initiate sends a session creation request and returns the answer, whatever it is.
func (r *xepRig) initiate(attrs xepAttrs) *xepAnswer {
	r.t.Helper()
	return r.post("", r.creation(attrs)).answer()
}

// xepSession is a session of a client.
type xepSession struct {
	r       *xepRig
	sid     string
	rid     int        // of the last request
	created *xepAnswer // the session creation response
	jid     string     // after login
	seen    *xepElement
	keys    []string // of a key sequence, the next one last
}

// create makes a session.
func (r *xepRig) create(attrs xepAttrs) *xepSession {
	r.t.Helper()
	return r.session(r.initiate(attrs))
}

// session is the one that a session creation response is for.
func (r *xepRig) session(a *xepAnswer) *xepSession {
	r.t.Helper()
	a.wantOK()
	if a.attr("sid") == "" {
		r.t.Fatalf("got %v, want a sid", a)
	}
	return &xepSession{r: r, sid: a.attr("sid"), rid: xepFirstRID, created: a, seen: a.body}
}

// sendAt makes a request of any rid.
func (s *xepSession) sendAt(rid int, attrs xepAttrs, payload string) *xepCall {
	return s.r.post("", s.body(rid, attrs, payload))
}

// body makes the wrapper of a request.
func (s *xepSession) body(rid int, attrs xepAttrs, payload string) string {
	all := xepAttrs{"rid": strconv.Itoa(rid), "sid": s.sid}
	maps.Copy(all, attrs)
	return xepWrapper(all, payload)
}

// send makes the next request.
func (s *xepSession) send(attrs xepAttrs, payload string) *xepCall {
	s.rid++
	return s.sendAt(s.rid, s.signed(attrs), payload)
}

// signed adds the next key, if there are any.
func (s *xepSession) signed(attrs xepAttrs) xepAttrs {
	if len(s.keys) == 0 {
		return attrs
	}
	all := xepAttrs{"key": s.keys[len(s.keys)-1]}
	maps.Copy(all, attrs)
	s.keys = s.keys[:len(s.keys)-1]
	return all
}

// find returns the first payload of a name, in the last answer or in those to empty
// requests that follow.
func (s *xepSession) find(space, local string) *xepElement {
	s.r.t.Helper()
	for range 5 {
		if e := s.seen.child(space, local); e != nil {
			return e
		}
		s.seen = s.send(nil, "").answer().wantOK().body
	}
	s.r.t.Fatalf("no <%s/> of %s in five answers", local, space)
	return nil
}

// ask sends a payload and waits for one of a name.
func (s *xepSession) ask(attrs xepAttrs, payload, space, local string) *xepElement {
	s.r.t.Helper()
	s.seen = s.send(attrs, payload).answer().wantOK().body
	return s.find(space, local)
}

func xepPlain(user, password string) string {
	return "<auth xmlns='" + xepNSSASL + "' mechanism='PLAIN'>" +
		base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)) + "</auth>"
}

const xepBindIQ = "<iq xmlns='" + xepNSClient + "' type='set' id='b'><bind xmlns='" + xepNSSession + "'/></iq>"

// login makes a session of a user, with these attributes in its creation.
func (r *xepRig) login(user string, attrs xepAttrs) *xepSession {
	r.t.Helper()
	s := r.create(attrs)
	s.authenticate(user)
	s.bind(xepBindIQ)
	return s
}

// authenticate goes as far as the features after the login.
func (s *xepSession) authenticate(user string) {
	s.r.t.Helper()
	s.find(xepNSStreams, "features")
	s.prove(user)
}

// prove is authenticate when the features have been read.
func (s *xepSession) prove(user string) {
	s.r.t.Helper()
	s.ask(nil, xepPlain(user, "anchor"), xepNSSASL, "success")
	s.ask(xepAttrs{"xmpp:restart": "true", "to": s.r.domain, "xml:lang": "en"}, "", xepNSStreams, "features")
}

// bind binds a resource.
func (s *xepSession) bind(iq string) {
	s.r.t.Helper()
	e := s.ask(nil, iq, xepNSClient, "iq").child(xepNSSession, "bind").child(xepNSSession, "jid")
	if e == nil {
		s.r.t.Fatal("binding a resource: got an answer without jid")
	}
	s.jid = e.Text
}

// xepMessage makes a message.
func xepMessage(to, text string) string {
	return "<message xmlns='" + xepNSClient + "' to='" + to + "' type='chat'><body>" + text + "</body></message>"
}

// wantMessages reads the messages to a session until there are as many as texts.
func (s *xepSession) wantMessages(texts ...string) {
	s.r.t.Helper()
	var got []string
	for range 20 {
		got = append(got, s.send(nil, "").answer().wantOK().texts()...)
		if len(got) >= len(texts) {
			break
		}
	}
	if !slices.Equal(got, texts) {
		s.r.t.Errorf("got messages %q, want %q", got, texts)
	}
}

// wantGone wants that the session does not exist.
func (s *xepSession) wantGone() {
	s.r.t.Helper()
	s.send(nil, "").wantNow().wantError(http.StatusNotFound, "item-not-found")
}

// seconds returns a number of seconds of the session creation response.
func (s *xepSession) seconds(name string) time.Duration {
	s.r.t.Helper()
	n := s.created.number(name)
	if n < 0 {
		s.r.t.Fatalf("got %v, want a number of seconds as %s", s.created, name)
	}
	return time.Duration(n) * time.Second
}
