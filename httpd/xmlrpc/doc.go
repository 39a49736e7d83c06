// Package xmlrpc is the request handler ejabberd_xmlrpc: programs run commands by XML-RPC,
// as clients of ejabberd do.
//
//	server = xmlrpc.client.ServerProxy("http://127.0.0.1:5280/xmlrpc/")
//	server.connected_users_number()                                      # {'num_sessions': 7}
//	server.registered_users({"user": …, "server": …, "password": …}, {"host": "localhost"})
//
// The arguments of a command are one structure, in any order. A first structure with
// user, server and a password or an OAuth token says who calls; without it only the
// address counts. The result is a structure of one member; what went wrong is a fault
// with the codes of ejabberd. Commands are always those of the newest version of the API,
// and acl.Permissions say who may run them; those with the tag internal nobody may.
//
// The address counts for nothing where a web browser may have sent the request for a page
// of another site, as package api describes it: without credentials such a page may do
// what everybody may, from everywhere.
//
// Besides the commands there are echothis, echothisnew, multhis and multhisnew, by which
// a client can see whether it speaks XML-RPC, for everybody; and of the introspection
// system.listMethods, system.methodHelp and system.methodSignature, which know the
// commands that the caller may run. There is no system.multicall: it would let one
// request make any number of calls.
//
// Documents are read strictly and with bounds (1 MiB, 10,000 values, arrays and
// structures in one another up to 32 deep), in UTF-8, US-ASCII or ISO-8859-1, without
// document types and processing instructions.
package xmlrpc
