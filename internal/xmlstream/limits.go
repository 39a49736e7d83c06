package xmlstream

// Limits bounds one child of a stream, and the stream header. A field that is
// zero or less stands for its default.
type Limits struct {
	Bytes    int // from the first '<' to the last '>'. Default: 262144
	Elements int // itself included. Default: 10000
	Depth    int // nesting, 1 being an element without children. Default: 128
	Attrs    int // attributes and declarations in one start tag. Default: 128
}

const (
	defaultBytes    = 256 << 10
	defaultElements = 10000
	defaultDepth    = 128
	defaultAttrs    = 128

	maxBytes       = 1 << 30 // offsets within an element are 32 bits wide
	maxReference   = 32      // bytes of one reference, '&' and ';' included
	maxDeclaration = 512     // bytes of an XML declaration
	maxScope       = 256     // namespace declarations in scope within one element
	maxStream      = 64      // namespace declarations on the stream header
	maxStreamBytes = 1024    // of these, as AppendOuterDecls writes them: each stanza may come to need all
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	set(&l.Bytes, defaultBytes)
	set(&l.Elements, defaultElements)
	set(&l.Depth, defaultDepth)
	set(&l.Attrs, defaultAttrs)
	l.Bytes = min(l.Bytes, maxBytes)
	return l
}
