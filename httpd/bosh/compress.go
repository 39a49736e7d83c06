package bosh

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
)

// worthCompressing is the least size of a body that is compressed, in bytes: one that
// fits into a packet gains nothing.
const worthCompressing = 1400

// compressed is a body with what has compressed it.
type compressed struct {
	w   *gzip.Writer
	buf bytes.Buffer
}

var compressors = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is a valid one
	return &compressed{w: w}
}}

// padding is what compressed bodies have some of, as the name of a file, which clients
// skip. How well a body compresses tells whoever sees its size, and can send the client
// stanzas, whether they are like others in it.
const padding = "----------------------------------------------------------------"

// compress returns a body compressed. It is valid until release.
func compress(body []byte) *compressed {
	z := compressors.Get().(*compressed)
	z.buf.Reset()
	z.w.Reset(&z.buf)
	z.w.Name = padding[:rand.IntN(len(padding))]
	_, _ = z.w.Write(body) // memory takes it all
	_ = z.w.Close()
	return z
}

func (z *compressed) release() {
	const keep = 128 << 10
	if z.buf.Cap() <= keep {
		compressors.Put(z)
	}
}

// acceptsGzip says whether the fields Accept-Encoding allow gzip (RFC 9110, section
// 12.5.3).
func acceptsGzip(fields []string) bool {
	any := false
	for _, f := range fields {
		for coding := range strings.SplitSeq(f, ",") {
			name, params, _ := strings.Cut(coding, ";")
			name = strings.TrimSpace(name)
			switch {
			case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
				return hasWeight(params)
			case name == "*":
				any = hasWeight(params)
			}
		}
	}
	return any
}

// hasWeight says whether the parameters of a coding leave it one: q=0 does not.
func hasWeight(params string) bool {
	name, value, ok := strings.Cut(strings.TrimSpace(params), "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(name), "q") {
		return true
	}
	q, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	return err == nil && q > 0
}
