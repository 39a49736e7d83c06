//go:build interop

package xmlstream

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
)

// expatScript reads documents, each after a line with its length, and answers
// each with a line of JSON: the events below the root as events has them, or
// null, and whether there was text directly in the root.
const expatScript = `
import json, sys
from xml.parsers import expat

def expanded(name):
    space, _, local = name.rpartition('\f')
    return '{%s}%s' % (space, local)

def parse(doc):
    out, depth, text = [], [0], [False]
    p = expat.ParserCreate(namespace_separator='\f')
    p.ordered_attributes = True
    p.buffer_text = True
    p.buffer_size = 1 << 20
    def start(name, attrs):
        depth[0] += 1
        if depth[0] > 1:
            pairs = list(zip(attrs[::2], attrs[1::2]))
            out.append(['<' + expanded(name)] + [x for n, v in pairs for x in (expanded(n), v)])
    def end(name):
        depth[0] -= 1
        if depth[0] > 0:
            out.append(['>'])
    def chars(data):
        if depth[0] > 1:
            out.append(['', data])
        elif data.strip(' \t\r\n'):
            text[0] = True
    p.StartElementHandler, p.EndElementHandler, p.CharacterDataHandler = start, end, chars
    try:
        p.Parse(doc, True)
    except expat.ExpatError as e:
        return {'error': str(e)}
    return {'events': out, 'text': text[0]}

while True:
    line = sys.stdin.buffer.readline()
    if not line:
        break
    doc = sys.stdin.buffer.read(int(line))
    sys.stdout.write(json.dumps(parse(doc)) + '\n')
    sys.stdout.flush()
`

type expat struct {
	in  io.Writer
	out *bufio.Reader
}

type expatAnswer struct {
	Error  string
	Events [][]string
	Text   bool
}

func startExpat(t *testing.T) *expat {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is missing: install it")
	}
	cmd := exec.CommandContext(t.Context(), python, "-c", expatScript)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil && t.Context().Err() == nil {
			t.Errorf("python3: %v", err)
		}
	})
	return &expat{in, bufio.NewReader(out)}
}

func (x *expat) parse(t *testing.T, doc []byte) expatAnswer {
	t.Helper()
	if _, err := fmt.Fprintf(x.in, "%d\n%s", len(doc), doc); err != nil {
		t.Fatal(err)
	}
	line, err := x.out.ReadBytes('\n')
	if err != nil {
		t.Fatal(err)
	}
	var a expatAnswer
	if err := json.Unmarshal(line, &a); err != nil {
		t.Fatal(err)
	}
	return a
}

// listEvents is what a Walker says in the form of expatScript.
func listEvents(e *Element) (out [][]string) {
	for w := e.Walk(); ; {
		switch w.Next() {
		case AtStart:
			line := []string{"<" + expanded(w.Start.Name)}
			for _, a := range w.Start.Attrs {
				line = append(line, expanded(a.Name), string(a.Value))
			}
			out = append(out, line)
		case AtClose:
			out = append(out, []string{">"})
		case AtText:
			if len(w.Text) > 0 {
				out = append(out, []string{"", string(w.Text)})
			}
		case AtEnd:
			return out
		}
	}
}

func expanded(n Name) string { return "{" + string(n.Space) + "}" + string(n.Local) }

// scanEvents reads a whole stream; rest is what follows its end tag.
func scanEvents(doc []byte) (out [][]string, rest []byte, err error) {
	r := bytes.NewReader(doc)
	s := NewScanner(r, Limits{})
	if _, err := s.Header(); err != nil {
		return nil, nil, err
	}
	for {
		e, err := s.Next()
		if err == io.EOF {
			return out, doc[len(doc)-r.Len()-s.Buffered():], nil
		}
		if err != nil {
			return nil, nil, err
		}
		out = append(out, listEvents(e)...)
	}
}

// fragments are what mutations put in: markup, names, declarations, traps.
var fragments = strings.Split(`<a>|</a>|<a/>|<b c='d'>|</b>|<x:a>|</x:a>|<x:a/>|<y:b/>| x:b='1'| y:b='2'| b='1'| b="2"| xmlns:x='u'| xmlns:y='u'|`+
	` xmlns:y='v'| xmlns='u'| xmlns=''| xmlns:x=''| xmlns:xml='u'| xmlns:x='http://www.w3.org/XML/1998/namespace'|`+
	` xmlns:x='http://www.w3.org/2000/xmlns/'| xmlns:xml='http://www.w3.org/XML/1998/namespace'| xml:lang='en'| stream:x='1'|<stream:x/>|`+
	`&amp;|&lt;|&#65;|&#x41;|&#0;|&#xD800;|&x;|&#38;|<![CDATA[|]]>|]]|<!--|-->|<?a b?>|<?xml version='1.0'?>|<!DOCTYPE a>|'|"|=|:|/|>|<| |`+
	"\n|\r\n|\r|\t|\x00|\x1f|\x7f|\x80|\xc0\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\uFFFE|\uFFFD|\uFEFF|é|\u0301|\u00b7|\u00d7|語|\u2c00|😀|xmlns|xml|x|y|a|b|1|-|.|text", "|")

// generate makes an element, which is well-formed more often than not.
func generate(rnd *rand.Rand, depth int) string {
	pick := func(of ...string) string { return of[rnd.IntN(len(of))] }
	name := pick("a", "b", "é", "x:a", "y:b", "stream:c")
	var b strings.Builder
	b.WriteString("<" + name)
	if depth == 0 || rnd.IntN(4) == 0 {
		b.WriteString(pick(" xmlns:x='u' xmlns:y='v'", " xmlns:x='u' xmlns:y='u'", " xmlns:y='v' xmlns:x = \"v&amp;\"", " xmlns='w' xmlns:x='u'"))
	}
	for range rnd.IntN(4) {
		b.WriteString(pick(" a='1'", " b='1'", " x:a='&lt;'", " y:a=\"'\t\r\n \"", " x:b='é'", " xml:lang='en'", " xmlns=''", "\n\tc\n=\r'>'"))
	}
	if rnd.IntN(4) == 0 {
		return b.String() + pick("/>", " />")
	}
	b.WriteString(">")
	for range rnd.IntN(4) {
		if depth < 4 && rnd.IntN(2) == 0 {
			b.WriteString(generate(rnd, depth+1))
		} else {
			b.WriteString(pick("text", "\r\n", "\r", "&amp;&#13;&#xA;", "<![CDATA[<&]]]]>", "]]", "語😀", ">"))
		}
	}
	return b.String() + "</" + name + pick(">", " >")
}

// mutate makes a document of one of the seeds.
func mutate(rnd *rand.Rand, seeds [][]byte) []byte {
	doc := bytes.Clone(seeds[rnd.IntN(len(seeds))])
	if rnd.IntN(2) == 0 {
		doc = []byte(generate(rnd, 0))
	}
	for range rnd.IntN(4) {
		i := rnd.IntN(len(doc) + 1)
		j := min(len(doc), i+rnd.IntN(4))
		piece := []byte(fragments[rnd.IntN(len(fragments))])
		switch rnd.IntN(6) {
		case 0: // delete
			piece = nil
		case 1, 2: // insert
			j = i
		case 3: // splice another document in
			other := seeds[rnd.IntN(len(seeds))]
			from := rnd.IntN(len(other) + 1)
			piece, j = other[from:from+rnd.IntN(len(other)-from+1)], i
		}
		doc = append(doc[:i:i], append(bytes.Clone(piece), doc[j:]...)...)
	}
	return doc
}

// TestExpat compares with expat, which reads whole documents: what one accepts
// the other does too and sees the same, but for what XMPP forbids.
func TestExpat(t *testing.T) {
	x := startExpat(t)
	var seeds [][]byte
	for _, tt := range syntaxTests {
		seeds = append(seeds, []byte(tt.xml))
	}
	for _, xml := range traffic {
		seeds = append(seeds, []byte(xml))
	}
	rnd := rand.New(rand.NewPCG(6120, 7622))
	accepted, total := 0, 0
	for range 200_000 {
		doc := []byte(testHeader + string(mutate(rnd, seeds)) + "</stream:stream>")
		got, rest, err := scanEvents(doc)
		if err == nil && len(bytes.TrimSpace(rest)) > 0 {
			continue // the stream has ended early; what follows is not looked at
		}
		total++
		if err == nil {
			accepted++
		}
		compareExpat(t, doc, got, err, x.parse(t, doc))
		if t.Failed() {
			return
		}
	}
	t.Logf("%d documents, %d accepted", total, accepted)
	if accepted < total/10 {
		t.Errorf("accepted %d documents of %d: the corpus tests too little", accepted, total)
	}
}

func compareExpat(t *testing.T, doc []byte, got [][]string, err error, want expatAnswer) {
	t.Helper()
	switch {
	case err == nil && want.Error != "":
		t.Errorf("%q: accepted, but expat says %s", doc, want.Error)
	case err == nil && (want.Text || fmt.Sprint(got) != fmt.Sprint(want.Events)):
		t.Errorf("%q:\ngot  %q\nwant %q", doc, got, want.Events)
	case err != nil && want.Error == "" && !restricted(t, doc, err, want):
		t.Errorf("%q: got %v, but expat accepts it", doc, err)
	}
}

// restricted reports whether err is due to a rule of ours that XML does not have.
func restricted(t *testing.T, doc []byte, err error, want expatAnswer) bool {
	body := bytes.TrimPrefix(doc, []byte(testHeader))
	switch kindOf(t, err) {
	case BadFormat:
		return want.Text || bytes.Contains(body, []byte("&#")) // white space by reference
	case RestrictedXML:
		return bytes.Contains(body, []byte("<!")) || bytes.Contains(body, []byte("<?")) ||
			bytes.Contains(body, []byte("&#000000"))
	case NotWellFormed:
		return bytes.Contains(body, []byte("<xmlns"))
	}
	return false
}
