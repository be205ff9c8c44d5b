#include "lab/report/html_parts.hpp"

namespace wmlab::lab {

const std::string_view html_style = R"css(
:root{color-scheme:light;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;--soft:#f3f5f7;--good:#116329;--bad:#b3131f;--unsure:#744900;--link:#0550ae}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){color-scheme:dark;--bg:#0d1117;--fg:#e6edf3;--dim:#9da7b3;--line:#363d46;--soft:#171d25;--good:#5fcf78;--bad:#ff8f87;--unsure:#e8b84a;--link:#79b8ff}}
:root[data-theme=dark]{color-scheme:dark;--bg:#0d1117;--fg:#e6edf3;--dim:#9da7b3;--line:#363d46;--soft:#171d25;--good:#5fcf78;--bad:#ff8f87;--unsure:#e8b84a;--link:#79b8ff}
*{box-sizing:border-box}
body{font:15px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--fg);max-width:72rem;margin:0 auto;padding:1rem}
h1{font-size:1.5rem;margin:.3rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem;border-bottom:1px solid var(--line)}h3{font-size:1rem;margin:1rem 0 .3rem}
h1,h2,h3,p,li,td,th,summary,code{overflow-wrap:anywhere}
a{color:var(--link)}code,pre{font:13px/1.5 ui-monospace,monospace}
.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}.unsure{color:var(--unsure);font-weight:600}.dim{color:var(--dim)}
.sum{font-size:1.1rem;font-weight:600}
.wide{overflow-x:auto;max-width:100%}
table{border-collapse:collapse}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{font-weight:600}td.n,th.n{text-align:center}
details.flow{border:1px solid var(--line);border-left:4px solid var(--good);border-radius:4px;margin:.3rem 0;padding:.2rem .6rem}
details.bad{border-left-color:var(--bad);color:var(--fg);font-weight:400}details.unsure{border-left-color:var(--unsure);color:var(--fg);font-weight:400}
summary{cursor:pointer}summary:focus-visible,a:focus-visible,button:focus-visible,input:focus-visible,select:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.legs td:first-child{overflow-wrap:normal}
details.flow:target{background:var(--soft)}
.tools{display:flex;flex-wrap:wrap;gap:.5rem;align-items:end;position:sticky;top:0;background:var(--bg);padding:.5rem 0;z-index:1}
.tools label{display:flex;flex-direction:column;font-size:.85rem}
input,select,button{font:inherit;color:var(--fg);background:var(--soft);border:1px solid var(--line);border-radius:4px;padding:.2rem .5rem;max-width:100%}
.noscript .tools{display:none}
.sides{display:flex;flex-wrap:wrap;gap:0 1.5rem}.sides>div{flex:1 1 24rem;min-width:0}
.lad{display:flex;align-items:flex-start;max-width:100%;overflow-x:auto}
.lad pre{margin:0;padding-top:26px;font:11px/22px ui-monospace,monospace;color:var(--dim);text-align:right;min-width:3.6rem;flex:none}
.lad svg{flex:none}svg text,.m{font:10.5px system-ui,sans-serif;fill:var(--fg)}.h{font-weight:600;text-anchor:middle}.m{text-anchor:middle}
.x{fill:var(--bad);font-weight:600}svg .d{fill:var(--dim)}
.v{stroke:var(--line);stroke-width:1;fill:none}.a{stroke:var(--good);stroke-width:1.4;fill:none}.b{stroke:var(--bad);stroke-width:1.6;stroke-dasharray:5 3;fill:none}
.box{fill:var(--soft);stroke:var(--line)}.fw{fill:var(--bg);stroke:var(--fg);stroke-width:1.5}.bar{fill:var(--good)}.gap{stroke:var(--bad);stroke-width:1}
.top{width:100%;max-width:640px;height:auto}.top text{font-size:12px}
.src{border:1px solid var(--line);border-radius:4px;overflow-x:auto;padding:.3rem 0}
.src div{display:flex;white-space:pre;font:13px/1.5 ui-monospace,monospace;min-width:max-content;padding:0 .5rem}
.src .no{width:3.5rem;flex:none;text-align:right;padding-right:.6rem;color:var(--dim)}.src .use{width:6.5rem;flex:none;color:var(--dim);font-size:11px;line-height:20px}
.src .stop{background:color-mix(in srgb,var(--bad) 14%,var(--bg))}.src .near{background:color-mix(in srgb,var(--unsure) 14%,var(--bg))}.src .add{background:color-mix(in srgb,var(--good) 14%,var(--bg))}
.src .why{padding-left:10.6rem;white-space:normal;min-width:0;font:13px/1.5 system-ui,sans-serif}.src div:target{outline:2px solid var(--link)}
.skip{position:absolute;left:-99rem}.skip:focus{left:1rem;background:var(--bg)}
@media (max-width:600px){body{padding:.6rem}td,th{padding:.2rem .3rem;font-size:.9rem}.legs thead{display:none}.legs tr,.legs td{display:block;border:0;padding:.05rem .2rem}.legs tr{border-bottom:1px solid var(--line);padding:.3rem 0}.src .use{width:4.5rem}.src .no{width:2.4rem}.src .why{padding-left:2.6rem}}
@media print{:root{--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;--soft:#fff}.tools,.skip{display:none}details.flow{break-inside:avoid}body{max-width:none}a{color:inherit;text-decoration:none}}
)css";

const std::string_view html_script = R"js(
(function(){
var d=document,flows=[].slice.call(d.querySelectorAll('details.flow')),list=d.getElementById('list'),
q=d.getElementById('q'),s=d.getElementById('state'),g=d.getElementById('group'),n=d.getElementById('count');
d.documentElement.classList.remove('noscript');
function show(){
var words=q.value.toLowerCase().split(/\s+/).filter(Boolean),seen=0,groups={},order=[];
flows.forEach(function(f){
var t=f.textContent.toLowerCase(),ok=(s.value==='all'||f.dataset.s===s.value)&&words.every(function(w){return t.indexOf(w)>=0});
f.hidden=!ok;if(ok)seen++;
var k=g.value==='none'?'':(f.dataset[g.value]||'-');
if(!groups[k]){groups[k]=[];order.push(k)}
groups[k].push(f)});
list.textContent='';
order.sort(function(a,b){return groups[b].length-groups[a].length});
order.forEach(function(k){
var some=groups[k].filter(function(f){return !f.hidden}).length;
if(k){var h=d.createElement('h3');h.textContent=k+': '+some+(some===1?' flow':' flows');h.hidden=!some;list.appendChild(h)}
groups[k].forEach(function(f){list.appendChild(f)})});
n.textContent=seen+' of '+flows.length+' flows'}
function open(){var t=d.getElementById(decodeURIComponent(location.hash.slice(1)));
if(t&&t.tagName==='DETAILS'){if(t.hidden){q.value='';s.value='all';show()}t.open=true;t.scrollIntoView();t.firstElementChild.focus()}}
[q,s,g].forEach(function(e){e.addEventListener('input',show)});
d.getElementById('open').addEventListener('click',function(){var some=flows.some(function(f){return !f.hidden&&!f.open});flows.forEach(function(f){if(!f.hidden)f.open=some})});
d.getElementById('theme').addEventListener('click',function(){var r=d.documentElement,dark=r.dataset.theme?r.dataset.theme==='dark':matchMedia('(prefers-color-scheme:dark)').matches;r.dataset.theme=dark?'light':'dark'});
d.addEventListener('keydown',function(e){
if(/INPUT|SELECT/.test(e.target.tagName)||e.ctrlKey||e.metaKey||e.altKey)return;
if(e.key==='/'){e.preventDefault();q.focus()}
if(e.key==='j'||e.key==='k'){var v=flows.filter(function(f){return !f.hidden}),i=v.indexOf(d.activeElement.closest('details.flow'));
var f=v[Math.max(0,Math.min(v.length-1,e.key==='j'?i+1:i-1))];if(f)f.firstElementChild.focus()}});
addEventListener('hashchange',open);
addEventListener('beforeprint',function(){flows.forEach(function(f){if(f.dataset.s!=='good')f.open=true})});
show();open()})();
)js";

}  // namespace wmlab::lab
