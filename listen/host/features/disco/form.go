package disco

import (
	"slices"

	"github.com/tidewaiter/tidewaiter/listen/stanza"
)

// NSServerInfo is the type of the form with the contact addresses of a server
// (XEP-0157, section 3).
const NSServerInfo = "http://jabber.org/network/serverinfo"

// Form is a data form that tells more of an entity (XEP-0128).
type Form struct {
	Type   string // its FORM_TYPE
	Fields []Field
}

// Field is one field of a Form.
type Field struct {
	Name   string
	Values []string
}

func (f *Form) appendXML(b []byte) []byte {
	b = append(b, "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'><value>"...)
	b = stanza.AppendEscaped(b, f.Type)
	b = append(b, "</value></field>"...)
	for _, field := range f.Fields {
		b = append(appendAttr(append(b, "<field"...), "var", field.Name), '>')
		for _, v := range field.Values {
			b = append(b, "<value>"...)
			b = stanza.AppendEscaped(b, v)
			b = append(b, "</value>"...)
		}
		b = append(b, "</field>"...)
	}
	return append(b, "</x>"...)
}

// forms returns the contact addresses of the domains whose services are those
// of this server itself.
func (o *Options) forms() []Form {
	f := Form{Type: NSServerInfo}
	for _, info := range o.ServerInfo {
		if len(info.Modules) > 0 && !slices.Contains(info.Modules, "all") && !slices.Contains(info.Modules, "mod_disco") {
			continue
		}
		i := slices.IndexFunc(f.Fields, func(f Field) bool { return f.Name == info.Name })
		if i < 0 {
			i = len(f.Fields)
			f.Fields = append(f.Fields, Field{Name: info.Name})
		}
		f.Fields[i].Values = append(f.Fields[i].Values, info.URLs...)
	}
	if len(f.Fields) == 0 {
		return nil
	}
	return []Form{f}
}
