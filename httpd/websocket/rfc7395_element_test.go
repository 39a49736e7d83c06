package websocket_test

import (
	"encoding/xml"
	"io"
	"slices"
	"strings"
)

// The namespaces of what a server sends.
const (
	nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"
	nsStream  = "http://etherx.jabber.org/streams"
	nsStreams = "urn:ietf:params:xml:ns:xmpp-streams"
	nsClient  = "jabber:client"
	nsSASL    = "urn:ietf:params:xml:ns:xmpp-sasl"
	nsSM      = "urn:xmpp:sm:3"
	nsXML     = "http://www.w3.org/XML/1998/namespace"
)

// node is an element.
type node struct {
	name     xml.Name
	attrs    []xml.Attr
	children []*node
	text     string
	raw      string // of the root
}

// attr is the value of an attribute: its name, or "xml:lang".
func (n *node) attr(name string) string {
	want := xml.Name{Local: name}
	if local, ok := strings.CutPrefix(name, "xml:"); ok {
		want = xml.Name{Space: nsXML, Local: local}
	}
	for _, a := range n.attrs {
		if a.Name == want {
			return a.Value
		}
	}
	return ""
}

// child is the first child of a local name, an empty element if there is none.
func (n *node) child(local string) *node {
	for _, c := range n.children {
		if c.name.Local == local {
			return c
		}
	}
	return new(node)
}

// has says whether there is a child of a local name, or one of its children and so on.
func (n *node) has(local string) bool {
	return slices.ContainsFunc(n.children, func(c *node) bool { return c.name.Local == local || c.has(local) })
}

// parse reads a message of the server, which must be a document of its own: one element,
// with the declarations of all of its namespaces, and nothing that XMPP has no use for.
// See RFC 7395, section 3.3.3, and RFC 6120, section 11.1.
func (w *wire) parse(message string) *node {
	w.t.Helper()
	if !strings.HasPrefix(message, "<") {
		w.t.Fatalf("got %q, want the first character <", message)
	}
	root, stack := new(node), []*node{new(node)}
	stack[0] = root
	d := xml.NewDecoder(strings.NewReader(message))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			w.t.Fatalf("%v in %q", err, message)
		}
		top := stack[len(stack)-1]
		switch token := token.(type) {
		case xml.StartElement:
			token = token.Copy()
			n := &node{name: token.Name, attrs: token.Attr}
			w.checkNames(n, message, len(stack) == 1)
			top.children = append(top.children, n)
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			top.text += string(token)
		default:
			w.t.Fatalf("%T in %q", token, message)
		}
	}
	if len(root.children) != 1 || root.text != "" {
		w.t.Fatalf("got %q, want exactly one element", message)
	}
	root.children[0].raw = message
	return root.children[0]
}

// checkNames checks that prefixes are declared. The parser has put the prefix where it
// does not know the namespace, which always has a colon. Only the payload can be in none.
func (w *wire) checkNames(n *node, message string, root bool) {
	w.t.Helper()
	if space := n.name.Space; (space != "" || root) && !strings.Contains(space, ":") {
		w.t.Fatalf("<%s/> in the namespace %q in %q", n.name.Local, n.name.Space, message)
	}
	for _, a := range n.attrs {
		if space := a.Name.Space; space != "" && space != "xmlns" && space != "xml" && !strings.Contains(space, ":") {
			w.t.Fatalf("%s in the namespace %q in %q", a.Name.Local, space, message)
		}
	}
}

// element reads a message.
func (w *wire) element() *node {
	w.t.Helper()
	f := w.next()
	if f.op != opText || f.end {
		w.t.Fatalf("got opcode %d with %q (end %t), want a text message", f.op, f.payload, f.end)
	}
	return w.parse(f.payload)
}

// want reads a message that must be this element.
func (w *wire) want(space, local string) *node {
	w.t.Helper()
	n := w.element()
	if n.name.Space != space || n.name.Local != local {
		w.t.Fatalf("got %s, want <%s xmlns='%s'/>", n.raw, local, space)
	}
	return n
}

// wantError reads a stream error, which says one of the conditions.
// See RFC 7395, section 3.5, and RFC 6120, section 4.9.2.
func (w *wire) wantError(conditions ...string) *node {
	w.t.Helper()
	n := w.want(nsStream, "error")
	if len(n.children) == 0 || n.children[0].name.Space != nsStreams || !slices.Contains(conditions, n.children[0].name.Local) {
		w.t.Fatalf("got %s, want one of %q", n.raw, conditions)
	}
	return n
}

// wantEnd reads a stream error, the end of the stream, which it answers, and that of the
// connection. See RFC 7395, sections 3.5 and 3.6.
func (w *wire) wantEnd(conditions ...string) {
	w.t.Helper()
	w.wantError(conditions...)
	w.want(nsFraming, "close")
	w.say("<close xmlns='" + nsFraming + "'/>")
	w.wantClose()
}

// wantFailure reads the failure of the connection: a close frame with one of the codes and
// the end. What ends the stream may come before.
// See RFC 6455, section 7.1.7, and RFC 7395, sections 3.5 and 3.6.
func (w *wire) wantFailure(codes ...int) {
	w.t.Helper()
	f := w.next()
	for _, may := range []string{"open", "error", "close"} {
		if f.op == opText && w.parse(f.payload).name.Local == may {
			if may == "close" {
				w.say(f.payload)
			}
			f = w.next()
		}
	}
	w.checkClose(f, codes...)
	w.send(frame{op: opClose, payload: f.payload[:min(2, len(f.payload))]})
	w.wantEOF()
}
