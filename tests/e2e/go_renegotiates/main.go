// A client of TLS 1.2 that lets its server negotiate again: client PORT. For each line on its standard input it makes a
// connection and three calls on it.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for connection := 0; lines.Scan(); connection++ {
		settings := &tls.Config{
			InsecureSkipVerify: true,
			MaxVersion:         tls.VersionTLS12,
			Renegotiation:      tls.RenegotiateFreelyAsClient,
		}
		transport := &http.Transport{TLSClientConfig: settings, DisableCompression: true}
		for number := 0; number < 3; number++ {
			path := fmt.Sprintf("/again/%d-%d", connection, number)
			answer, err := (&http.Client{Transport: transport}).Get("https://127.0.0.1:" + os.Args[1] + path)
			if err != nil {
				panic(err)
			}
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		transport.CloseIdleConnections()
		fmt.Println("done", connection)
	}
}
