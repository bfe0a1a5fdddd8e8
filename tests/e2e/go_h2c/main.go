// A net/http server that speaks HTTP/2, and writes down what it was told: h2c PORT LOG. Needs Go 1.24. With CERTIFICATE KEY
// behind them it speaks TLS, and HTTP/1 too.
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
)

func main() {
	log, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		panic(err)
	}
	var mutex sync.Mutex
	handler := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		status := 200
		if strings.HasPrefix(r.URL.Path, "/missing") {
			status = 404
		}
		mutex.Lock()
		json.NewEncoder(log).Encode(map[string]any{"method": r.Method, "path": r.RequestURI, "authority": r.Host,
			"status": status, "map": r.Header, "trailers": r.Trailer})
		mutex.Unlock()
		w.Header().Set("X-Served-By", "net/http")
		w.Header().Set("X-Path", r.RequestURI)
		w.Header().Set("Trailer", "X-Checksum")
		w.WriteHeader(status)
		io.WriteString(w, strings.Repeat("ok\n", 2000))
		w.Header().Set("X-Checksum", "17")
	}
	if len(os.Args) > 3 {
		server := http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: http.HandlerFunc(handler)}
		panic(server.ListenAndServeTLS(os.Args[3], os.Args[4]))
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := http.Server{Addr: "127.0.0.1:" + os.Args[1], Handler: http.HandlerFunc(handler), Protocols: protocols}
	panic(server.ListenAndServe())
}
