# Drives server_sim's DCOM with impacket: python3 dcom_impacket.py HOST. Raises where an answer is not what it must be.
import sys

from impacket.dcerpc.v5 import dcomrt, epm, mgmt, transport
from impacket.dcerpc.v5.dcomrt import DCOMConnection, IActivation, IObjectExporter, IRemoteSCMActivator, IRemUnknown
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_LEVEL_NONE
from impacket.uuid import string_to_bin, uuidtup_to_bin

host = sys.argv[1]
process_interface = uuidtup_to_bin(('0189416A-0010-4000-8000-57494D534D31', '1.0'))
clsid = string_to_bin('0189416A-0001-4000-8000-57494D534D31')
iid = string_to_bin('0189416A-0002-4000-8000-57494D534D31')


def connect(port, interface):
    dce = transport.DCERPCTransportFactory('ncacn_ip_tcp:%s[%d]' % (host, port)).get_dce_rpc()
    dce.connect()
    dce.bind(interface)
    return dce


binding = epm.hept_map(host, process_interface, protocol='ncacn_ip_tcp')
assert binding == 'ncacn_ip_tcp:%s[3001]' % host, binding
try:
    epm.hept_map(host, uuidtup_to_bin(('00000000-1111-2222-3333-444444444444', '1.0')), protocol='ncacn_ip_tcp')
    raise SystemExit('an interface nobody registered was mapped')
except Exception as refusal:
    assert 'ept_s_not_registered' in str(refusal), refusal

dce = transport.DCERPCTransportFactory('ncacn_ip_tcp:%s[135]' % host).get_dce_rpc()
dce.connect()
resolver = IObjectExporter(dce)
resolver.ServerAlive()
addresses = [one['aNetworkAddr'].rstrip('\0') for one in resolver.ServerAlive2()]
assert addresses == [host, host], addresses

interfaces = mgmt.hinq_if_ids(connect(135, mgmt.MSRPC_UUID_MGMT))['if_id_vector']['count']
assert interfaces == 5, interfaces

for name, activator in (('RemoteActivation', IActivation), ('RemoteCreateInstance', IRemoteSCMActivator)):
    dcomrt.INTERFACE.CONNECTIONS = {}
    connection = DCOMConnection(host, authLevel=RPC_C_AUTHN_LEVEL_NONE, oxidResolver=False)
    thing = getattr(activator(connection.get_dce_rpc()), name)(clsid, iid)
    thing.get_cinstance().set_auth_level(RPC_C_AUTHN_LEVEL_NONE)
    where = thing.get_cinstance().get_string_bindings()[0]['aNetworkAddr'].rstrip('\0')
    assert where == '%s[3002]' % host, where
    unknown = IRemUnknown(thing)
    unknown.RemQueryInterface(1, (iid,))
    unknown.RemAddRef()
    for _ in range(7):  # five references of the activation, one of the query, one added
        unknown.RemRelease()
    print(name, where)
