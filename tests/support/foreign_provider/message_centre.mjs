// A message centre of others (npm `smpp`): takes orders as lines of JSON and tells what it sees the same way.
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import smpp from 'smpp'

const order = JSON.parse(process.argv[2])
const say = (event) => process.stdout.write(JSON.stringify(event) + '\n')
const state = { bind: 0, single: false, statuses: [], silent: false, receipts: [] }
const sessions = new Set()
const bound = new Set()
let count = 0

const listener = (session) => {
  sessions.add(session)
  session.on('error', () => {})
  session.on('close', () => { sessions.delete(session); bound.delete(session); say({ event: 'closed' }) })
  for (const command of ['bind_transceiver', 'bind_transmitter']) {
    session.on(command, (pdu) => {
      say({ event: command, system_id: pdu.system_id, password: pdu.password, system_type: pdu.system_type, version: pdu.interface_version })
      const status = state.single && bound.size ? 0x05 : state.bind
      if (!status) bound.add(session)
      session.send(pdu.response({ command_status: status, system_id: 'foreign' }))
    })
  }
  session.on('unbind', (pdu) => { bound.delete(session); say({ event: 'unbind' }); session.send(pdu.response()); session.close() })
  session.on('enquire_link', (pdu) => { say({ event: 'enquire_link' }); if (!state.silent) session.send(pdu.response()) })
  session.on('enquire_link_resp', () => say({ event: 'enquire_link_resp' }))
  session.on('deliver_sm_resp', (pdu) => say({ event: 'deliver_sm_resp', status: pdu.command_status }))
  session.on('generic_nack', (pdu) => say({ event: 'generic_nack', status: pdu.command_status }))
  session.on('submit_sm', (pdu) => {
    const payload = pdu.message_payload
    const found = payload === undefined ? pdu.short_message : payload
    say({
      event: 'submit_sm', source: [pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr],
      destination: [pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr], data_coding: pdu.data_coding,
      esm_class: pdu.esm_class, receipt: pdu.registered_delivery, payload: payload !== undefined,
      text: String(found.message ?? found), udh: (found.udh ?? []).map((each) => [...each]),
    })
    const status = state.statuses.shift() ?? 0
    if (status === 'drop') return session.destroy()
    if (status === 'silent') return
    session.send(pdu.response({ command_status: status, message_id: status ? '' : `m-${++count}` }))
    const receipt = pdu.registered_delivery && !status ? state.receipts.shift() : undefined
    if (receipt) session.deliver_sm(receipt)
  })
}

const tls = order.key ? { key: readFileSync(order.key), cert: readFileSync(order.cert) } : {}
const server = smpp.createServer(tls, listener)
server.listen(order.port, '127.0.0.1', () => say({ event: 'listening' }))

createInterface({ input: process.stdin }).on('line', (line) => {
  const { set, tell, drop } = JSON.parse(line)
  Object.assign(state, set)
  for (const session of sessions) {
    if (tell) session.send(new smpp.PDU(tell.command, tell.fields ?? {}))
    if (drop) session.destroy()
  }
  say({ event: 'done' })
})
