// Package xmlstream finds the elements in an XMPP byte stream and checks them,
// in one pass over the bytes and without building a tree.
//
// What it accepts is exactly a subset of well-formed XML 1.0 (fifth edition)
// and namespace-well-formed XML (Namespaces in XML 1.0, third edition), so that
// bytes that passed may be forwarded as they are: no other conforming parser
// reads them differently. The restrictions beyond the two standards:
//
//   - no comments, processing instructions, DTDs, and no entity references but
//     the five predefined ones (RFC 6120, section 11.1). Character references
//     and CDATA sections are not on that list and are allowed;
//   - UTF-8 only, without a byte order mark: U+FEFF is an ordinary character
//     wherever it stands (RFC 6120, section 11.6), so one before the stream
//     header is text where none may be;
//   - names of the fourth edition of XML 1.0: the fifth allows more, which would
//     end the streams of recipients whose parser is older (expat, encoding/xml);
//   - no element named xmlns, which encoding/xml does not put into the default
//     namespace;
//   - XML 1.0 only, and nothing but white space between the children of a stream;
//   - at most maxReference bytes in a reference, maxDeclaration in an XML
//     declaration, maxScope namespace declarations in scope, maxStream on the
//     stream header, and the Limits.
//
// # Line ends and attribute values
//
// A parser turns CR LF and CR into LF, and white space in attribute values into
// spaces (XML 1.0, sections 2.11 and 3.3.3). Bytes that are forwarded keep
// theirs: the receiver normalises them to what this side would have made of
// them, so both see one text. Values that this package decodes are normalised.
//
// # Memory
//
// A scanner that waits between elements owns a few hundred bytes. Whatever more
// it needs comes from a pool once bytes arrive, grows to about Limits.Bytes at
// most, and goes back when all of them are consumed.
package xmlstream
