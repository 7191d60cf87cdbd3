"""Four threads build and drop structures until a file named stop appears."""

import os
import threading
import time

faults = []


def work(number):
    rounds = 0
    while not os.path.exists("stop"):
        table = {i: [str(i * number), (i, number)] for i in range(400)}
        table["self"] = table
        if sum(value[1][0] for key, value in table.items() if key != "self") != 79800:
            faults.append(number)
        del table["self"]
        rounds += 1
    return rounds


threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
time.sleep(0.05)
open("ready", "w").close()
for thread in threads:
    thread.join()
print("broken" if faults else "sound")
