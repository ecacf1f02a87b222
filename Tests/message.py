"""Hands a relay one message, as any client would: message.py HOST PORT."""

import smtplib
import sys
from email.message import EmailMessage

message = EmailMessage()
message["From"] = "you@client.example"
message["To"] = "user@example.test"
message["Subject"] = "A first message"
message.set_content("It waits in the queue until the primary is there.\n")

print("A client that nobody knows yet waits six seconds for the whole greeting.")
with smtplib.SMTP(sys.argv[1], int(sys.argv[2]), local_hostname="client.example") as client:
    client.set_debuglevel(1)
    client.send_message(message)
