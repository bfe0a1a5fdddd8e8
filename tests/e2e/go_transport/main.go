// Calls https://127.0.0.1:PORT/orders/N-M by net/http at each line on stdin, on new connections: `transport PORT WORKERS CALLS`.
package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync"
)

func call(client *http.Client, url string) {
	response, err := client.Get(url)
	if err != nil {
		panic(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
}

func main() {
	workers, _ := strconv.Atoi(os.Args[2])
	calls, _ := strconv.Atoi(os.Args[3])
	// No HTTP/2: a transport with settings of its own asks for none.
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
		MaxIdleConnsPerHost: workers,
	}
	client := &http.Client{Transport: transport}
	lines := bufio.NewScanner(os.Stdin)
	for round := 0; lines.Scan(); round++ {
		var all sync.WaitGroup
		for worker := 0; worker < workers; worker++ {
			all.Add(1)
			go func(worker int) {
				defer all.Done()
				for number := 0; number < calls; number++ {
					call(client, fmt.Sprintf("https://127.0.0.1:%s/orders/%d-%d-%d", os.Args[1], round, worker, number))
				}
			}(worker)
		}
		all.Wait()
		transport.CloseIdleConnections()
		fmt.Println("done")
	}
}
