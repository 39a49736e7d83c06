package listen

import (
	"bytes"
	"fmt"
	"testing"
)

// large is a configuration of at least lines lines.
func large(lines int) []byte {
	var b bytes.Buffer
	b.WriteString("hosts: [example.org]\nacl:\n")
	for i := range lines / 10 {
		fmt.Fprintf(&b, "  acl%d: {user: user%d@example.org}\n", i, i)
	}
	b.WriteString("access_rules:\n")
	for i := range lines / 20 {
		fmt.Fprintf(&b, "  rule%d:\n    - allow: acl%d\n", i, i)
	}
	b.WriteString("listen:\n")
	for i := 0; i < lines*8/10; i += 8 {
		fmt.Fprintf(&b, "  -\n    port: %d\n    ip: 127.0.%d.1\n    module: ejabberd_c2s\n    access: rule%d\n"+
			"    shaper: 1000\n    max_stanza_size: 65536\n    send_timeout: 15 s\n", 1024+i, i%250, i%(lines/20))
	}
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	src := large(10_000)
	reg := testRegistry()
	b.SetBytes(int64(len(src)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("large.yml", src, reg); err != nil {
			b.Fatal(err)
		}
	}
}
