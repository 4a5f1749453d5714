from benchmarks.peers.run import app

app()
