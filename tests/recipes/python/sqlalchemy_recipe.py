import requests
from recipe import close_ticket

requests.run(close_ticket)
