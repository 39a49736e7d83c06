package xmlstream

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
)

// events lists what an element says, in expanded names: one line a tag or text.
func events(e *Element) []string {
	var out []string
	for w := e.Walk(); ; {
		switch w.Next() {
		case AtStart:
			line := fmt.Sprintf("<{%s}%s", w.Start.Name.Space, w.Start.Name.Local)
			for _, a := range w.Start.Attrs {
				line += fmt.Sprintf(" {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value)
			}
			out = append(out, line)
		case AtClose:
			out = append(out, ">")
		case AtText:
			if len(w.Text) > 0 {
				out = append(out, fmt.Sprintf("%q", w.Text))
			}
		case AtEnd:
			return out
		}
	}
}

// decoderEvents is events as encoding/xml sees the first child of a stream.
func decoderEvents(stream string) ([]string, error) {
	d := xml.NewDecoder(strings.NewReader(stream))
	var out []string
	var text []byte
	for depth := 0; ; {
		tok, err := d.Token()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if _, ok := tok.(xml.CharData); !ok && len(text) > 0 && depth > 1 {
			out = append(out, fmt.Sprintf("%q", text))
			text = nil
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if depth++; depth > 1 {
				out = append(out, startLine(tok))
			}
		case xml.EndElement:
			if depth--; depth > 0 {
				out = append(out, ">")
			}
		case xml.CharData:
			if depth > 1 {
				text = append(text, tok...)
			}
		}
	}
}

func startLine(t xml.StartElement) string {
	line := fmt.Sprintf("<{%s}%s", t.Name.Space, t.Name.Local)
	for _, a := range t.Attr {
		if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
			line += fmt.Sprintf(" {%s}%s=%q", a.Name.Space, a.Name.Local, a.Value)
		}
	}
	return line
}

// spaces makes up for encoding/xml not normalising attribute values.
var spaces = strings.NewReplacer(`\t`, " ", `\n`, " ", `\r`, " ", "\t", " ", "\n", " ", "\r", " ")

// FuzzScanner checks that encoding/xml accepts whatever a Scanner does, and sees
// the same in it; and that the sizes of reads make no difference.
func FuzzScanner(f *testing.F) {
	for _, tt := range syntaxTests {
		f.Add([]byte(tt.xml), uint8(1))
	}
	for _, xml := range traffic {
		f.Add([]byte(xml), uint8(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		stream := append([]byte(testHeader), data...)
		l := Limits{Bytes: 4096, Elements: 100, Depth: 20, Attrs: 20}
		s := NewScanner(bytes.NewReader(stream), l)
		mustHeader(t, s)
		var lines []string
		var last error
		for {
			e, err := s.Next()
			if err != nil {
				last = err
				break
			}
			lines = append(lines, describe(&e.Start)+" "+string(e.Raw))
			want, err := decoderEvents(testHeader + string(e.Raw) + "</stream:stream>")
			if err != nil {
				t.Fatalf("%q: accepted, but encoding/xml says %v", e.Raw, err)
			}
			got := spaces.Replace(strings.Join(events(e), "|"))
			if want := spaces.Replace(strings.Join(want, "|")); got != want {
				t.Fatalf("%q:\ngot  %s\nwant %s", e.Raw, got, want)
			}
		}
		pieces, err := scanPieces(stream, int(piece)+1, l)
		if strings.Join(pieces, "\n") != strings.Join(lines, "\n") || err.Error() != last.Error() {
			t.Fatalf("%q in pieces of %d: got %q, %v, want %q, %v", data, int(piece)+1, pieces, err, lines, last)
		}
	})
}

// pieceReader returns a few bytes a read.
type pieceReader struct {
	r    io.Reader
	size int
}

func (r *pieceReader) Read(p []byte) (int, error) { return r.r.Read(p[:min(len(p), r.size)]) }

func scanPieces(stream []byte, size int, l Limits) (lines []string, err error) {
	s := NewScanner(&pieceReader{bytes.NewReader(stream), size}, l)
	if _, err := s.Header(); err != nil {
		return nil, err
	}
	for {
		e, err := s.Next()
		if err != nil {
			return lines, err
		}
		lines = append(lines, describe(&e.Start)+" "+string(e.Raw))
	}
}

// FuzzHeader checks that a stream header is bytes that encoding/xml accepts too,
// wherever they are cut.
func FuzzHeader(f *testing.F) {
	f.Add([]byte(testHeader))
	f.Add([]byte("<?xml version=\"1.0\" encoding='utf-8' standalone='no' ?>\r\n<a xmlns='&amp;'/>"))
	f.Add([]byte(" <a b='c' xmlns:d='e' d:f='g'>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := NewScanner(bytes.NewReader(data), Limits{Bytes: 2000}).Header()
		_, err2 := NewScanner(&pieceReader{bytes.NewReader(data), 1}, Limits{Bytes: 2000}).Header()
		if !sameError(err, err2) {
			t.Fatalf("%q: got %v at once, %v byte by byte", data, err, err2)
		}
		if err != nil {
			return
		}
		d := xml.NewDecoder(bytes.NewReader(data))
		for {
			tok, err := d.Token()
			if err != nil {
				t.Fatalf("%q: accepted, but encoding/xml says %v", data, err)
			}
			if start, ok := tok.(xml.StartElement); ok {
				if start.Name.Local != string(h.Name.Local) || spaces.Replace(start.Name.Space) != spaces.Replace(string(h.Name.Space)) {
					t.Fatalf("%q: got %s %s, want %v", data, h.Name.Space, h.Name.Local, start.Name)
				}
				return
			}
		}
	})
}
